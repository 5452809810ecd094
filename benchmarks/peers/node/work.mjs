// What both Node peers share: the task from stdin, the job's work, and the outcome as one line of JSON.
import { readFileSync } from 'node:fs';
import nodemailer from 'nodemailer';

// The fields are told in benchmarks/peers/programs.py.
export const task = JSON.parse(readFileSync(0, 'utf8'));
export const count = task.offsets.length;

let beganAt;
export const dueAt = (number) => Math.round(beganAt + 1000 * (task.lead + task.offsets[number]));

// Nodemailer's page "Pooled SMTP": one transporter with kept connections; a connection is not given up after 100 mails.
const transporter =
    task.mail &&
    nodemailer.createTransport({
        host: '127.0.0.1',
        port: task.relay_port,
        ignoreTLS: true,
        pool: true,
        maxConnections: 20,
        maxMessages: Infinity,
    });
const mail = task.mail && readFileSync(task.mail, 'latin1');

const ran = [];
const seen = new Set();
let allSeen;
const all = new Promise((resolve) => (allSeen = resolve));

// The work of a job: send its mail if there are mails, and record when it was done.
export async function work(number) {
    if (transporter) {
        const envelope = { from: task.sender, to: `customer${number}@example.com` };
        const raw = Buffer.from(mail.replaceAll('%NUMBER%', String(number)), 'latin1');
        await transporter.sendMail({ envelope, raw });
    }
    ran.push([number, Date.now() / 1000]);
    seen.add(number);
    if (seen.size === count) allSeen();
}

// Call a function for each number, `callers` at a time.
export async function each(numbers, callers, call) {
    const left = numbers[Symbol.iterator]();
    const caller = async () => {
        for (const number of left) await call(number);
    };
    await Promise.all(Array.from({ length: callers }, caller));
}

// Schedule, wait for the jobs if they are to run, print the outcome, and end with whatever is still open.
export async function main(schedule) {
    beganAt = Date.now();
    const began = performance.now();
    await schedule();
    const took = (performance.now() - began) / 1000;
    if (task.run) {
        await Promise.race([all, sleep(task.within)]);
        await sleep(0.5); // a job that runs twice is to be seen
    }
    const line = JSON.stringify({ began_at: beganAt / 1000, took, ran });
    process.stdout.write(line + '\n', () => process.exit(0));
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
