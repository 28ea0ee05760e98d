import type { z } from 'zod';
import { messageOf, UsageError } from '../errors.ts';
import type { Parameters, PlanDocument, Report } from '../model.ts';
import { readUntrusted } from '../untrusted-file.ts';

/** Saved documents are untrusted input: read as data, checked whole, and what they ask for is recomputed. */

export async function readPlan(path: string): Promise<PlanDocument> {
  return planFrom(await readJson(path), path);
}

/** A plan document from JSON that was read already; `source` names it in errors. */
export async function planFrom(value: unknown, source: string): Promise<PlanDocument> {
  const { planDocument, policyParameters } = await import('../schemas.ts');
  const plan = check<PlanDocument>(planDocument, value, source, 'plan', 'harden plan -o FILE');
  const parameters: Parameters = check(policyParameters, plan.inputs.policyParameters, `${source}: inputs.policyParameters`, 'plan', 'harden plan -o FILE');
  return { ...plan, inputs: { ...plan.inputs, policyParameters: parameters as PlanDocument['inputs']['policyParameters'] } };
}

export async function readReport(path: string): Promise<Report> {
  const { scanDocument } = await import('../schemas.ts');
  return check<Report>(scanDocument, await readJson(path), path, 'scan', 'harden scan --format json');
}

/**
 * What a JSON file holds.
 * @throws UsageError when it cannot be read, or is not JSON
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readUntrusted(path);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, source: string, kind: string, made: string): T {
  const version = (value as { readonly schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof version === 'number' && version > 1) throw new UsageError(`${source} has schema version ${version}, made by a newer harden; this one reads version 1`);
  const { data, error } = parsed(schema, value, source);
  if (data !== undefined) return data;
  const issue = error?.issues[0];
  throw new UsageError(`${source} is not a ${kind} of harden: ${issue?.path.map(String).join('.') ?? ''} ${issue?.message ?? ''}\nMake one with \`${made}\`.`);
}

/** Nesting without end is valid JSON, and more than a recursive reader can take. */
function parsed<T>(schema: z.ZodType<T>, value: unknown, source: string): z.ZodSafeParseResult<T> {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`${source} is nested too deeply: harden wrote no such file`, { cause: error });
    throw error;
  }
}
