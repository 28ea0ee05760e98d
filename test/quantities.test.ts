/** Sizes and durations as Docker, its client and Compose read and write them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { durationText, parseDuration, parseSize, sizeText } from '../src/quantities.ts';

describe('a size', () => {
  test.each<readonly [string, number | null]>([
    ['0', 0], ['1024', 1024], ['10b', 10], ['512m', 512 * 1024 ** 2], ['1.5g', 1.5 * 1024 ** 3], ['64 MiB', 64 * 1024 ** 2], ['2GB', 2 * 1024 ** 3], ['1t', 1024 ** 4], ['.5k', 512], ['+1k', 1024], ['1e3', 1000],
    ['', null], ['-1', null], ['5i', null], ['5ib', null], ['5kk', null], ['5 k b', null], [' 5k', null], ['m', null], ['0x10', null], ['1,5g', null], ['5kbi', null],
  ])('%j is %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test('is read as it was written', () => {
    fc.assert(fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      expect(parseSize(sizeText(bytes))).toBe(bytes);
    }));
    expect([536_870_912, 1025, 0].map(sizeText)).toEqual(['512m', '1025b', '0b']);
  });
});

describe('a duration', () => {
  test.each<readonly [string, number | null]>([
    ['0', 0], ['-0', 0], ['30s', 30e9], ['1m30s', 90e9], ['1h', 3600e9], ['1.5h', 5400e9], ['100ms', 1e8], ['5us', 5000], ['5µs', 5000], ['5μs', 5000], ['7ns', 7], ['.5s', 5e8], ['+3s', 3e9],
    ['', null], ['+', null], ['30', null], ['-30s', null], ['1d', null], ['1m 30s', null], ['s', null], ['1s2', null],
  ])('%j is %j', (text, nanoseconds) => {
    expect(parseDuration(text)).toBe(nanoseconds);
  });

  test('is read as it was written', () => {
    fc.assert(fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (nanoseconds) => {
      expect(parseDuration(durationText(nanoseconds))).toBe(nanoseconds);
    }));
    expect([90e9, 3600e9, 1_500_000, 0].map(durationText)).toEqual(['90s', '1h', '1500us', '0ns']);
  });
});
