// Agenda on MongoDB, configured by the README of @agendajs/mongo-backend:
// - "Full Example with Options": processEvery, maxConcurrency and defaultConcurrency. The poll is shorter than the 5 s
//   by default, for what is locked ahead runs only when all is locked: at 5 s jobs are seconds late, at 200 ms its
//   polls get into each other's way in a burst. The concurrency is BullMQ's.
// - "Additional Indexes": findAndLockDeadJobs, for "job definitions with thousands of instances".
// - Not "Real-Time Notifications": a job that is due beyond the next poll is left to the poll anyhow.
import { MongoBackend } from '@agendajs/mongo-backend';
import { Agenda } from 'agenda';
import { MongoClient } from 'mongodb';
import { count, dueAt, each, main, task, work } from './work.mjs';

const client = await MongoClient.connect(task.server);
const db = client.db(task.database);
await db.collection('agendaJobs').createIndex({ name: 1, disabled: 1, lockedAt: 1 }, { name: 'findAndLockDeadJobs' });

const agenda = new Agenda({
    backend: new MongoBackend({ mongo: db }),
    processEvery: '1 second',
    maxConcurrency: 100,
    defaultConcurrency: 100,
});
agenda.define('work', (job) => work(job.attrs.data.number));
await agenda.ready;
await Promise.all(Array.from({ length: task.callers }, () => db.command({ ping: 1 }))); // connections are open, as ours are
if (task.run) await agenda.start();

await main(() =>
    each(Array(count).keys(), task.callers, (number) => agenda.schedule(new Date(dueAt(number)), 'work', { number })),
);
