/** `*` stands for anything, `?` for one character; the rest for itself. */
export function globMatches(glob: string, text: string): boolean {
  const source = glob.replaceAll(/[\\^$.|+()[\]{}/-]/gu, String.raw`\$&`).replaceAll(/\*+/gu, '.*').replaceAll('?', '.');
  return new RegExp(`^${source}$`, 'su').test(text);
}
