import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The end-to-end files that take longest: one of them that began last would be waited for alone. */
const LONGEST = [
  'equivalence', 'safety', 'guard', 'services', 'failures', 'hostile', 'recreate', 'script', 'busy-engine', 'compose-traits', 'recreate-traits', 'crash', 'access', 'ansible', 'container-model', 'compose-apply', 'images-swarm',
].map((name) => `/test/e2e/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => [...LONGEST, ''].findIndex((name) => moduleId.endsWith(name));
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          // One less than there are cores, as without this, would leave half of a small machine idle.
          maxWorkers: '100%',
          // Some start processes, on machines that may be busy with other things.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/global-setup.ts'],
          // Most of their time is waiting for hosts: two at once leave two cores idle for most of it. They share one outer engine; the
          // machine's single audit rule table is handed from one audit host to the next under a lock.
          maxWorkers: 4,
          testTimeout: 240_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
