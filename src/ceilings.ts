import type { Impact, Plan, Risk } from './model.ts';
import { IMPACTS, impactExceeds, maxImpact, maxRisk, RISKS, riskExceeds } from './model.ts';

/** What one higher ceiling would let into the plan. */
export interface CeilingOffer {
  readonly maxImpact: Impact;
  readonly maxRisk: Risk;
  /** The flags that raise to it; only those that differ from the plan's ceilings. */
  readonly flags: string;
  /** Findings that it releases and that no lower offer does. */
  readonly adds: readonly { readonly check: string; readonly target: Plan['deferred'][number]['target'] }[];
}

/** The flags in a ceiling deferral's `needs`, e.g. "--max-impact restart --max-risk behaviour". */
const neededImpact = (needs: string): Impact | undefined => IMPACTS.find((impact) => needs.includes(`--max-impact ${impact}`));
const neededRisk = (needs: string): Risk | undefined => RISKS.find((risk) => needs.includes(`--max-risk ${risk}`));

/** One offer per distinct ceiling that deferred findings name, lowest first. */
export function ceilingOffers({ deferred, inputs }: Pick<Plan, 'deferred' | 'inputs'>): CeilingOffer[] {
  const offers = new Map<string, CeilingOffer>();
  for (const { check, target, reason, needs } of deferred) {
    if (reason !== 'ceiling' || needs === null) continue;
    const impact = maxImpact([inputs.maxImpact, neededImpact(needs) ?? 'none']);
    const risk = maxRisk([inputs.maxRisk, neededRisk(needs) ?? 'safe']);
    const flags = [
      ...(impactExceeds(impact, inputs.maxImpact) ? [`--max-impact ${impact}`] : []),
      ...(riskExceeds(risk, inputs.maxRisk) ? [`--max-risk ${risk}`] : []),
    ].join(' ');
    const offer = offers.get(flags);
    offers.set(flags, { maxImpact: impact, maxRisk: risk, flags, adds: [...(offer?.adds ?? []), { check, target }] });
  }
  const rank = ({ maxImpact: impact, maxRisk: risk }: CeilingOffer): number => IMPACTS.indexOf(impact) + RISKS.indexOf(risk) * IMPACTS.length;
  return [...offers.values()].sort((a, b) => rank(a) - rank(b));
}
