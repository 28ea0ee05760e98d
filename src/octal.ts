/** Permission bits as chmod(1) takes them, with four digits: 0644. */
export const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
