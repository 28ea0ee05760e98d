// Completes what tsc wrote to dist/: files that are read at run time, and the command's executable bit.
import { chmodSync, cpSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

for (const tree of ['templates', 'src', 'checks', 'remediations']) {
  if (!existsSync(path(tree))) continue;
  cpSync(path(tree), path(`dist/${tree}`), {
    recursive: true,
    filter: (source) => !source.endsWith('.ts'),
  });
}
chmodSync(path('dist/src/cli.js'), 0o755);
