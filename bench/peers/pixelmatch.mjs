// mapbox's pixelmatch as a process that is asked by lines of JSON: compares raw RGBA files, answers count and seconds.
// The pictures lie in memory and the output's memory is there before the clock starts; the first comparison of all warms the compiler up.
import fs from 'node:fs';
import readline from 'node:readline';

const {default: pixelmatch} = await import(process.argv[2]);
const pictures = new Map();
const picture = file => {
  if (!pictures.has(file)) pictures.set(file, fs.readFileSync(file));
  return pictures.get(file);
};
for await (const line of readline.createInterface({input: process.stdin})) {
  const {a, b, width, height, threshold, includeAA} = JSON.parse(line);
  const [before, after] = [picture(a), picture(b)];
  const output = new Uint8Array(before.length);
  const begun = performance.now();
  const count = pixelmatch(before, after, output, width, height, {threshold, includeAA, diffMask: true});
  console.log(JSON.stringify({count, seconds: (performance.now() - begun) / 1000}));
}
