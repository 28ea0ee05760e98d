/** One spelling of a reference: without the default registry, with a tag or a digest. */
export function normalReference(reference: string): string {
  const short = reference.replace(/^(?:docker\.io|index\.docker\.io)\//u, '').replace(/^library\//u, '').replace(/:[^/@]+(?=@)/u, '');
  return /:[^/]+$/u.test(short) ? short : `${short}:latest`;
}
