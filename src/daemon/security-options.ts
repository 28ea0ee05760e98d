import type { EngineInfo } from '../model.ts';

/** GET /info: SecurityOptions lists what is in force, as "name=NAME" with ",key=value" parts. */
export const hasSecurityOption = ({ securityOptions }: EngineInfo, name: string): boolean =>
  securityOptions.some((option) => option.split(',')[0] === `name=${name}`);

/** The daemon's default seccomp profile: "default" (also for "builtin"), "unconfined" or a path; null without seccomp. */
export function seccompProfile({ securityOptions }: EngineInfo): string | null {
  const option = securityOptions.find((candidate) => candidate.split(',')[0] === 'name=seccomp');
  return option === undefined ? null : normalProfile(/,profile=(.*)$/s.exec(option)?.[1] ?? '');
}

/** One name for the engine's own profile: it says "default" up to 20.10 and "builtin" from 23.0. */
export const normalProfile = (profile: string): string => profile === '' || profile === 'builtin' ? 'default' : profile;
