// The same questions to DuckDB, with values of the same kind: npm install @duckdb/node-api, then
//   node duckdb.mjs [rows] [threads] [rounds]
import duckdb from '@duckdb/node-api';

const [rows, threads, rounds] = [Number(process.argv[2] ?? 50000000), Number(process.argv[3] ?? 2), Number(process.argv[4] ?? 7)];
// As in data.cpp.
const zipf = (n) => `((least(floor(exp(random() * ln(${n + 1}))), ${n})::BIGINT - 1) * 7919 % ${n})`;
// Groups are counted there: handing a million rows to JavaScript would take longer than making them.
const by = (columns) => `SELECT count(*), sum(s) FROM (SELECT ${columns}, sum(x) AS s FROM t GROUP BY ${columns})`;
const connection = await (await duckdb.DuckDBInstance.create(':memory:')).connect();
await connection.run(`SET threads = ${threads}`);
await connection.run(`CREATE TABLE t AS SELECT random() AS x, (random() * 2000000)::BIGINT - 1000000 AS n,
  'site-' || floor(random() * 1000)::INT AS site, floor(random() * 1000)::BIGINT AS i, floor(random() * 16)::BIGINT AS k,
  floor(random() * 65536)::BIGINT AS g, floor(random() * 1000000)::BIGINT AS h, 'site-' || ${zipf(1000)} AS site_z,
  ${zipf(16)} AS k_z, ${zipf(65536)} AS g_z, ${zipf(1000000)} AS h_z FROM range(${rows})`);
const version = (await (await connection.run('SELECT version()')).getRows())[0][0];
console.log(`DuckDB ${version}, ${rows / 1e6} M rows, ${threads} threads, ${rounds} rounds, medians.\n`);
console.log('| | ms | lowest–highest | CPU ms |\n|---|--:|--:|--:|');
const questions = [
  ['sum of float64', 'SELECT sum(x) FROM t'],
  ['sum of float64, compensated (fsum)', 'SELECT fsum(x) FROM t'],
  ['sum of int64', 'SELECT sum(n) FROM t'],
  ['sum, min, max, avg, stddev', 'SELECT sum(x), min(x), max(x), avg(x), stddev(x) FROM t'],
  ['sum where x < 1 %', 'SELECT sum(x) FROM t WHERE x < 0.01'],
  ['sum where x < 50 %', 'SELECT sum(x) FROM t WHERE x < 0.5'],
  ['sum where another column < 1 %', 'SELECT sum(x) FROM t WHERE n < -980000'],
  ['sum where another column < 50 %', 'SELECT sum(x) FROM t WHERE n < 0'],
  ['sum by 16 integers', by('k')],
  ['sum by 16 integers, Zipf', by('k_z')],
  ['sum by 1,000 strings', by('site')],
  ['sum by 1,000 strings, Zipf', by('site_z')],
  ['sum by 1,000 integers', by('i')],
  ['sum by 64 K integers', by('g')],
  ['sum by 64 K integers, Zipf', by('g_z')],
  ['sum by 1 M integers', by('h')],
  ['sum by 1 M integers, Zipf', by('h_z')],
  ['sum by 64 K times 16 integers', by('g, k')],
  ['quantiles, exact', 'SELECT quantile_disc(x, [0.01, 0.5, 0.99]) FROM t'],
  ['distinct, approximate', 'SELECT approx_count_distinct(x) FROM t'],
];
const answers = new Set();
for (const [name, sql] of questions) {
  const times = [];
  const processor = [];
  for (let i = 0; i <= rounds; ++i) {
    const used = process.cpuUsage();
    const begin = performance.now();
    const found = await (await connection.run(sql)).getRows();
    if (i === 0) continue;
    times.push(performance.now() - begin);
    const cpu = process.cpuUsage(used);
    processor.push((cpu.user + cpu.system) / 1000);
    if (name === 'sum of float64') answers.add(found[0][0]);
  }
  for (const list of [times, processor]) list.sort((a, b) => a - b);
  const at = times.length >> 1;
  console.log(`| ${name} | ${times[at].toFixed(1)} | ${times[0].toFixed(1)}–${times.at(-1).toFixed(1)} | ${processor[at].toFixed(1)} |`);
}
console.log(`\nDifferent answers to the first question: ${answers.size}.`);
