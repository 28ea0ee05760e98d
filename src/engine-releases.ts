/** One line of releases: when its maintainers ended it, or the newest release of it that was out on RELEASES_AS_OF. */
type ReleaseLine = { readonly ended: string } | { readonly newest: string };

/** The day of the table below, YYYY-MM-DD. */
export const RELEASES_AS_OF = '2026-11-22';

/** Lines of Docker Engine: a major release from 27 on, major and minor before. Source: moby/moby, project/BRANCHES-AND-TAGS.md and its tags. */
export const RELEASE_LINES: ReadonlyMap<string, ReleaseLine> = new Map<string, ReleaseLine>([
  ['17.03', { ended: '2017-05-05' }],
  ['17.06', { ended: '2017-09-29' }],
  ['17.09', { ended: '2017-11-17' }],
  ['17.12', { ended: '2018-02-10' }],
  ['18.03', { ended: '2018-05-10' }],
  ['18.06', { ended: '2018-12-08' }],
  ['18.09', { ended: '2019-08-22' }],
  ['19.03', { ended: '2021-01-08' }],
  ['20.10', { ended: '2023-12-10' }],
  ['23.0', { ended: '2025-05-19' }],
  ['24.0', { ended: '2024-06-08' }],
  ['25.0', { newest: '25.0.14' }],
  ['26.0', { ended: '2024-06-08' }],
  ['26.1', { ended: '2025-02-17' }],
  ['27', { ended: '2025-05-03' }],
  ['28', { newest: '28.5.2' }],
  ['29', { newest: '29.9.0' }],
]);
