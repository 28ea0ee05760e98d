import type { Edit, Finding, Impact, Json, ObjectChange, ProposedEdit, Remediation } from '../model.ts';
import { findingKey, maxImpact, maxRisk } from '../model.ts';

/** An edit that survived selection and ceilings, with the finding that asked for it. */
export interface PlannedEdit<E extends ProposedEdit = ProposedEdit> {
  readonly finding: Finding;
  readonly remediation: Remediation;
  readonly edit: E;
}

export type EditOf<K extends Edit['kind']> = Extract<ProposedEdit, { kind: K }>;

export const ofKind = <K extends Edit['kind']>(planned: readonly PlannedEdit[], kind: K): EditOf<K>[] =>
  planned.map(({ edit }) => edit).filter((edit): edit is EditOf<K> => edit.kind === kind);

const unique = <T>(values: readonly T[], by: (value: T) => string): T[] => [...new Map(values.map((value) => [by(value), value])).values()];

const mostCostlyUndo = (undos: readonly (Impact | 'impossible')[]): Impact | 'impossible' =>
  undos.includes('impossible') ? 'impossible' : maxImpact(undos.filter((undo) => undo !== 'impossible'));

/** What a change says of the edits that it is made of: the worst of their costs, their reasons and their sentences. */
export function mergedFrom(planned: readonly PlannedEdit[]): Pick<ObjectChange, 'impact' | 'risk' | 'undo' | 'effect' | 'because' | 'promises' | 'requires'> {
  const notes = unique(planned.flatMap(({ edit, remediation }) => [remediation.effect, ...(edit.note === undefined ? [] : [edit.note])]), (note) => note);
  return {
    impact: maxImpact(planned.map(({ edit }) => edit.impact)),
    risk: maxRisk(planned.map(({ edit }) => edit.risk)),
    undo: mostCostlyUndo(planned.map(({ edit }) => edit.undo)),
    effect: notes.join(' '),
    because: unique(planned.map(({ finding }) => ({ check: finding.check, target: finding.target })), findingKey),
    promises: [],
    requires: [],
  };
}

/** A change of an object as its builder describes it. */
export type Described = Pick<ObjectChange, 'id' | 'kind' | 'target' | 'title' | 'actions' | 'diff' | 'premises'> & {
  /** What is there now, as far as the change depends on it. */
  readonly before: Json;
};
