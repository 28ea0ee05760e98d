import { dirname } from 'node:path';
import { at, object } from '../../collect/json.ts';
import { HostError } from '../../host/port.ts';
import type { Action, JsonObject } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

type SetSwarmCertificates = Extract<Action, { kind: 'setSwarmCertificates' }>;

const lifetimeIn = (spec: JsonObject): number => {
  const lifetime = at(spec, 'CAConfig', 'NodeCertExpiry');
  if (typeof lifetime !== 'number') throw new HostError('The engine does not say how long certificates of nodes live.');
  return lifetime;
};

const withLifetime = (nodeCertExpiry: number) => (spec: JsonObject): JsonObject => ({ ...spec, CAConfig: { ...object(at(spec, 'CAConfig')), NodeCertExpiry: nodeCertExpiry } });

export const setSwarmCertificates: Executor<SetSwarmCertificates> = {
  before: async (_action, { engine }) => ({ nodeCertExpiry: lifetimeIn(await engine.swarmSpec()) }),
  perform: ({ nodeCertExpiry }, _before, { engine }) => engine.updateSwarm(withLifetime(nodeCertExpiry)),
  async undo(_action, { nodeCertExpiry }, { engine }) {
    if (typeof nodeCertExpiry === 'number' && lifetimeIn(await engine.swarmSpec()) !== nodeCertExpiry) await engine.updateSwarm(withLifetime(nodeCertExpiry));
  },
  async touched(action, before, { engine }) {
    const now = lifetimeIn(await engine.swarmSpec());
    return now === action.nodeCertExpiry || now === before.nodeCertExpiry ? null : 'The lifetime of the swarm\'s certificates was changed since';
  },
};

type LockSwarm = Extract<Action, { kind: 'lockSwarm' }>;

const isLocking = (spec: JsonObject): boolean => at(spec, 'EncryptionConfig', 'AutoLockManagers') === true;
const withLock = (on: boolean) => (spec: JsonObject): JsonObject => ({ ...spec, EncryptionConfig: { ...object(at(spec, 'EncryptionConfig')), AutoLockManagers: on } });

/** What the file holds: the key, which no message, journal or plan ever has. */
const textOf = (key: string): Buffer => Buffer.from(`${key}\n`);

/** A key in a file that others can exchange or read is none that somebody can count on. */
async function requireRoom({ keyFile }: LockSwarm, { writer }: Session): Promise<void> {
  const directory = dirname(keyFile);
  if (await writer.snapshot(keyFile) !== null) throw new HostError(`${keyFile} is there already, and may hold a key that somebody needs. Name a new file in swarm.unlockKeyFile.`);
  const found = await writer.snapshot(directory);
  if (found === null) throw new HostError(`There is no directory ${directory} for the unlock key. Make it: install -d -m 0700 ${directory}`);
  if (found.uid !== 0 || (found.mode & 0o022) !== 0) throw new HostError(`Others than root can write to ${directory}. Name a file in another directory in swarm.unlockKeyFile.`);
  const refusal = await writer.refusal(keyFile);
  if (refusal !== null) throw new HostError(refusal);
}

export const lockSwarm: Executor<LockSwarm> = {
  async before(action, session) {
    if (isLocking(await session.engine.swarmSpec())) throw new HostError('The managers of the swarm lock themselves already. Plan again.');
    await requireRoom(action, session);
    return {};
  },
  async perform(action, _before, session) {
    const { engine, writer } = session;
    await requireRoom(action, session);
    await engine.updateSwarm(withLock(true));
    const key = await engine.unlockKey();
    if (!/^SWMKEY-\d+-\S+$/u.test(key)) throw new HostError('The engine did not tell the unlock key.');
    await writer.replace(action.keyFile, textOf(key), { mode: 0o600, uid: 0, gid: 0 });
    const kept = await writer.snapshot(action.keyFile);
    const same = kept?.content?.equals(textOf(key)) === true && kept.mode === 0o600 && kept.uid === 0;
    if (!same || await engine.unlockKey() !== key) throw new HostError(`The unlock key is not in ${action.keyFile} as it should be.`);
  },
  /** The file goes once its key opens nothing any more, and only if it holds that key; the other way round, a manager that restarts in between would be lost. */
  async undo({ keyFile }, _before, { engine, writer }) {
    if (!isLocking(await engine.swarmSpec())) return;
    const key = await engine.unlockKey();
    await engine.updateSwarm(withLock(false));
    if ((await writer.snapshot(keyFile))?.content?.equals(textOf(key)) === true) await writer.remove(keyFile);
  },
  touched: () => Promise.resolve(null),
};
