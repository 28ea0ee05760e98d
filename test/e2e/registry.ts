/** The least of an image registry that `docker push` is content with: it is what gives an image a digest. */
import type { TestHost } from './host.ts';

/** Keeps blobs and manifests in memory, and forgets them with its process. */
const REGISTRY = `
const { createHash, randomUUID } = require('node:crypto');
const digestOf = (bytes) => 'sha256:' + createHash('sha256').update(bytes).digest('hex');
const blobs = new Map(), uploads = new Map();
require('node:http').createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    const body = Buffer.concat(chunks), url = new URL(request.url, 'http://registry');
    const say = (code, headers = {}, text = '') => response.writeHead(code, headers).end(request.method === 'HEAD' ? undefined : text);
    const [, repository, kind, id] = /^\\/v2\\/(.+)\\/(blobs\\/uploads|blobs|manifests)\\/([^/]*)$/.exec(url.pathname) ?? [];
    if (kind === undefined) return say(200);
    if (kind === 'blobs/uploads') {
      const upload = id === '' ? randomUUID() : id;
      uploads.set(upload, Buffer.concat([uploads.get(upload) ?? Buffer.alloc(0), body]));
      const headers = { location: '/v2/' + repository + '/blobs/uploads/' + upload, range: '0-' + Math.max(0, uploads.get(upload).length - 1), 'docker-upload-uuid': upload };
      if (request.method !== 'PUT') return say(202, headers);
      const digest = url.searchParams.get('digest');
      if (digestOf(uploads.get(upload)) !== digest) return say(400);
      blobs.set(digest, uploads.get(upload));
      return say(201, { 'docker-content-digest': digest });
    }
    if (request.method === 'PUT') {
      blobs.set(digestOf(body), body);
      return say(201, { 'docker-content-digest': digestOf(body) });
    }
    const found = blobs.get(id);
    return found === undefined ? say(404) : say(200, { 'content-length': found.length, 'docker-content-digest': id }, found);
  });
}).listen(5000, '127.0.0.1');
`;

/**
 * Gives an image of a host another name and the digest that a registry has for it; the registry is gone afterwards, so that nothing
 * can be pulled.
 * @param name of a repository below 127.0.0.1:5000
 * @returns NAME@DIGEST
 */
export async function pushed(host: TestHost, image: string, name: string): Promise<string> {
  await host.writeFile('/root/registry.cjs', REGISTRY);
  const script = 'node /root/registry.cjs & pid=$!; docker tag "$1" "$2"; for i in $(seq 50); do docker push -q "$2" >/tmp/push 2>&1 && break; sleep 0.2; done; kill $pid; cat /tmp/push';
  await host.exec(['sh', '-c', script, 'push', image, name], { check: true });
  return (await host.exec(['docker', 'inspect', '-f', '{{index .RepoDigests 0}}', name], { check: true })).stdout.trim();
}
