// BullMQ on Redis, configured by its guide:
// - "Parallelism and Concurrency": "something between 100 and 300 is a quite standard setting" where jobs do I/O.
// - "Adding jobs in bulk": addBulk, in batches of 1,000; with the argument `add`, one call a job.
// - "Auto-removal of jobs": what is done is removed.
// - "Going to production": maxRetriesPerRequest is null on the worker's connection.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { count, dueAt, each, main, task, work } from './work.mjs';

const BATCH = 1000;

const connect = () => new Redis(task.server, { maxRetriesPerRequest: null });
const queue = new Queue('work', { connection: connect(), defaultJobOptions: { removeOnComplete: true } });
await queue.waitUntilReady();
if (task.run) {
    const worker = new Worker('work', (job) => work(job.data.number), { connection: connect(), concurrency: 100 });
    await worker.waitUntilReady();
}

const job = (number) => {
    const timestamp = Date.now();
    return { name: 'work', data: { number }, opts: { timestamp, delay: dueAt(number) - timestamp } };
};

await main(async () => {
    if (process.argv[2] === 'add') {
        await each(Array(count).keys(), task.callers, (number) => {
            const { name, data, opts } = job(number);
            return queue.add(name, data, opts);
        });
        return;
    }
    for (let first = 0; first < count; first += BATCH) {
        await queue.addBulk(Array.from({ length: Math.min(BATCH, count - first) }, (_, index) => job(first + index)));
    }
});
