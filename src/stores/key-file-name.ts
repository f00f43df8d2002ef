/** Names of key files; by them alone it is known whether there is one. */

const NAME = /^keys-(\d{1,15})\.jwe$/;

/** The name of the file that has the N-th state of the keys. */
export const keyFileName = (generation: number): string => `keys-${generation}.jwe`;

/** The N of a name, or 0 when it is not a key file's. */
export const generationOf = (name: string): number => Number(NAME.exec(name)?.[1] ?? 0);
