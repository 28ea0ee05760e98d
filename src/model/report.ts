import type { Edition, Impact, Risk, Target, ToolStamp } from './base.ts';
import type { Facts } from './facts.ts';
import type { Policy, Selection } from './policy.ts';

/** `na`: does not apply. `manual`: needs a person. `unknown`: could not be read. */
export const OUTCOMES = ['warn', 'unknown', 'manual', 'pass', 'na'] as const;
/** A check's outcome is the worst of its findings, in the order of OUTCOMES. */
export type Outcome = (typeof OUTCOMES)[number];
export type Severity = 'high' | 'medium' | 'low';
export type Section = 'host' | 'daemon' | 'files' | 'images' | 'containers' | 'operations' | 'swarm';

/** One check's verdict on one target. Keyed by (check, target). */
export interface Finding<D = unknown> {
  readonly check: string;
  readonly target: Target;
  readonly outcome: Outcome;
  /** One sentence: what is so, seen from the check. Never holds a secret; may hold hostile names (renderers escape). */
  readonly message: string;
  /** What the remediation needs; not shown. */
  readonly detail: D;
  /** A warn that a change already made, but that is not in force yet. */
  readonly pending?: { readonly waitsFor: string };
  readonly waiver?: { readonly reason: string; readonly owner: string; readonly expires: string | null };
}

/** A finding as a check makes it; evaluate adds the check's id. */
export type Verdict<D> = Omit<Finding<D>, 'check' | 'waiver'>;

/** One recommendation. Pure: it sees facts and policy and nothing else. */
export interface Check<D = unknown> {
  /** The slug: stable for ever, the file or table row, the fixture folder, the doc anchor, the CLI argument. */
  readonly id: string;
  /** States the compliant condition; no "Ensure", no final period. */
  readonly title: string;
  /** Why it matters, one or two sentences. */
  readonly rationale: string;
  /** What is looked at, e.g. "GET /networks/bridge: com.docker.network.bridge.enable_icc". */
  readonly evidence: string;
  /** When it passes, in one sentence. */
  readonly passes: string;
  readonly section: Section;
  readonly severity: Severity;
  readonly level: 1 | 2;
  /** Its number per edition of the benchmark; an edition that lacks it has no key. Empty for checks of our own. */
  readonly cis: Readonly<Partial<Record<Edition, string>>>;
  /** Codes under which other tools know it, as they write them ("CIS-DI-0001" of Dockle); any case selects it. Each belongs to one check. */
  readonly aliases?: readonly string[];
  /** At least one finding. Never throws for any facts (evaluate turns a throw into `unknown`, and the tests forbid it). */
  evaluate(facts: Facts, policy: Policy): readonly Verdict<D>[];
}

export type RemediationMode = 'auto' | 'choice' | 'manual' | 'none';

export interface CheckResult {
  readonly check: string;
  /** null when the chosen edition lacks the check. */
  readonly cis: string | null;
  readonly section: Section;
  readonly title: string;
  readonly level: 1 | 2;
  readonly severity: Severity;
  readonly outcome: Outcome;
  /** The message of the worst finding. */
  readonly reason: string;
  readonly findings: readonly Omit<Finding, 'check' | 'detail'>[];
  readonly remediation: { readonly mode: RemediationMode; readonly impact: Impact; readonly risk: Risk };
}

export interface HostSummary {
  readonly hostname: string;
  readonly os: string;
  readonly kernel: string;
  readonly engine: {
    readonly endpoint: string;
    readonly local: boolean;
    readonly version: string;
    readonly apiVersion: string;
    readonly rootless: boolean;
    readonly storageDriver: string;
  };
  /** What --image named: nothing else was looked at, and what is said of a host is empty or "unknown". */
  readonly image?: string;
}

export interface Summary {
  readonly pass: number;
  readonly warn: number;
  readonly na: number;
  readonly manual: number;
  readonly unknown: number;
  readonly waived: number;
  /** PASS minus WARN of the selected checks. */
  readonly score: number;
}

/** The scan document of `harden scan --format json`. */
export interface Report {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  readonly benchmark: Edition;
  readonly selection: Selection;
  readonly host: HostSummary;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly summary: Summary;
  readonly results: readonly CheckResult[];
}
