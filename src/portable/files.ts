import { textsOnTheWay, wayBack } from '../daemon/way-back.ts';
import { sha256 } from '../digest.ts';
import { maskSecretsInJsonText, maskSecretsInText } from '../mask.ts';
import type { FileChange } from '../model.ts';
import type { FileDigest, FileMetadata, PortableStep, PortableWayBack } from './model.ts';
import { Refused } from './model.ts';
import { spliced, splicesBetween } from './splices.ts';

const metadataOf = ({ mode, uid, gid }: FileMetadata): FileMetadata => ({ mode, uid, gid });

export const digestOf = (bytes: Buffer, metadata: FileMetadata): FileDigest => ({ ...metadataOf(metadata), sha256: sha256(bytes), size: bytes.length });

/** A text of a snapshot, whose secrets are masked, is not what is on the host. */
export function requireWhole(path: string, text: string, fromSnapshot: boolean): void {
  if (text.includes('\uFFFD')) throw new Refused(`${path} is not UTF-8 text.`);
  if (fromSnapshot && text.includes('***')) throw new Refused(`In the snapshot the secrets of ${path} are masked, so that its digest is not known: make this on the host itself.`);
}

/** The step that changes the bytes, mode and owner of a file, with the steps of harden's own way back where it is the daemon's. */
export function fileStep(change: FileChange, fromSnapshot: boolean): Extract<PortableStep, { kind: 'changeFile' | 'setMetadata' }> {
  const { id, path, before, after } = change;
  if (after.content === null) {
    if (before === null) throw new Error(`${path} has neither a state nor a content`);
    return { kind: 'setMetadata', change: id, path, before: metadataOf(before), after: metadataOf(after) };
  }
  const mask = change.kind === 'daemon-config' ? maskSecretsInJsonText : maskSecretsInText;
  const old = before === null ? null : textOf(before.bom, before.content ?? '');
  const text = textOf(after.bom, after.content);
  requireWhole(path, old ?? '', fromSnapshot);
  const splices = splicesBetween(old ?? '', text, mask);
  const bytes = Buffer.from(text);
  if (!spliced(Buffer.from(old ?? ''), splices).equals(bytes)) throw new Error(`the splices of ${path} do not make its new text`);
  return {
    kind: 'changeFile', change: id, path, before: old === null ? null : digestOf(Buffer.from(old), before ?? after), after: digestOf(bytes, after), splices,
    wayBack: change.kind === 'daemon-config' ? portableWayBack(old ?? '', text, mask) : null,
  };
}

const textOf = (bom: boolean, content: string): string => (bom ? '\uFEFF' : '') + content;

function portableWayBack(old: string, text: string, mask: (text: string) => string): PortableWayBack {
  const way = wayBack(old, text);
  const { restart, reload } = textsOnTheWay(old.replace(/^\uFEFF/u, ''), way);
  const back = (to: string): PortableWayBack['restart'] => splicesBetween(old, to, mask);
  return {
    restart: way.keepContainers ? back(restart) : [],
    reload: way.keepContainers || Object.keys(way.explicit).length > 0 ? back(reload) : [],
    keepContainers: way.keepContainers,
  };
}
