// Positions as waves and as turns, as chapter 12 has them.

const speeds = width => Array.from({ length: width / 2 }, (_, i) => 10000 ** (-2 * i / width));
export const inPairs = (pairs, make) => Float64Array.from(pairs.flatMap(make));

// The Transformer's row of a place: sine and cosine in turns.
export const wave = (place, width) => inPairs(speeds(width), speed => [Math.sin(place * speed), Math.cos(place * speed)]);

// Each pair of neighbouring numbers turned by the place times the pair's speed.
export const turn = (x, place) => inPairs(speeds(x.length), (speed, i) => {
  const cos = Math.cos(place * speed), sin = Math.sin(place * speed), a = x[2 * i], b = x[2 * i + 1];
  return [a * cos - b * sin, a * sin + b * cos];
});
