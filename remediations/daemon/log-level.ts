import { check } from '../../checks/daemon/log-level.ts';
import { nextValue, setKeys } from '../daemon-keys.ts';
import { remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'The daemon logs at level info.',
  impact: 'restart',
  risk: 'safe',
  parameters: [],
  propose(_, facts) {
    const level = nextValue(facts, 'log-level');
    const levelIsRight = typeof level !== 'string' || level === '' || level.toLowerCase() === 'info';
    const debug = nextValue(facts, 'debug') === true ? { debug: false } : {};
    return levelIsRight
      ? setKeys(facts, debug, { impact: 'reload', risk: 'safe', undo: 'reload' })
      : setKeys(facts, { 'log-level': 'info', ...debug }, { impact: 'restart', risk: 'safe', undo: 'restart' });
  },
});
