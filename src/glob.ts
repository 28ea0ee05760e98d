/** `*` stands for anything, `?` for one character, the rest for itself. Takes at most |glob| × |text| steps. */
export function globMatches(glob: string, text: string): boolean {
  const [pattern, characters] = [Array.from(glob), Array.from(text)];
  let [at, star, resume] = [0, -1, 0];
  for (let index = 0; index < characters.length;) {
    if (pattern[at] === '*') {
      [star, resume] = [at, index];
      at += 1;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === characters[index])) {
      at += 1;
      index += 1;
    } else if (star !== -1) {
      resume += 1;
      [at, index] = [star + 1, resume];
    } else return false;
  }
  return pattern.slice(at).every((character) => character === '*');
}
