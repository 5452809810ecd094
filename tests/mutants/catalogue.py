"""The mutants: what is broken, by which edits, and which rows must see it."""

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in a file below `recovery/` that occurs once, and what takes its place."""

    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """Return a text with this edit. Raises `ValueError` where it does not fit any more."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break the project. It must be seen by one of `rows`, tried in that order."""

    name: str
    told: str
    rows: tuple[str, ...]
    edits: tuple[Edit, ...]

    def check(self, root: Path) -> None:
        """Raise `ValueError`, naming the mutant, where an edit does not fit any more."""
        for edit in self.edits:
            try:
                edit.applied((root / edit.file).read_text())
            except (OSError, ValueError) as exc:
                raise ValueError(f"the mutant {self.name} has to be renewed: {exc}") from exc


def _also(of: str, *rows: str) -> list[Mutant]:
    """Return a mutant again, for each of these rows: each of them must see it."""
    (mutant,) = (each for each in _FIRST if each.name == of)
    return [replace(mutant, name=f"{of}:{row}", rows=(row,)) for row in rows]


_FIRST = (
    Mutant("no-token-guard", "a record is written whoever has the claim", ("stalled",),
           (Edit("mongo/updates.py", 'guard={"_id": seen.id, "claim.token": request.token, "revision": seen.revision},',
                 'guard={"_id": seen.id, "revision": seen.revision},'),)),
    Mutant("no-last-check", "nobody asks again before the content", ("slow-rcpt", "slow-data"),
           (Edit("engine/flight.py", "return asyncio.get_running_loop().time() <= self._known_at + self._fresh_for", "return True"),)),
    Mutant("claim-without-revision", "a claim is not guarded by what was seen, and nobody asks again before the content", ("order-race-slow-database",),
           (Edit("mongo/updates.py", '"status": seen.status,\n        "revision": seen.revision,\n        "next_at": seen.next_at,', '"status": {"$exists": True},'),
            Edit("mongo/updates.py", 'guard["next_at"] = {"$lte": max(next_at)}', "pass"),
            Edit("engine/flight.py", "return asyncio.get_running_loop().time() <= self._known_at + self._fresh_for", "return True"))),
    Mutant("claim-without-token", "a claim is not guarded by the claim, the time and the message that were seen", ("late-claim",),
           (Edit("mongo/updates.py", '        "next_at": seen.next_at,\n        "claim.token": seen.claim.token if seen.claim else None,\n', ""),
            Edit("mongo/updates.py", 'guard["next_at"] = {"$lte": max(next_at)}', "pass"),
            Edit("mongo/updates.py", '        f"messages.{name}.state": message and message.state,\n        f"messages.{name}.attempts": message and message.attempts,\n', ""))),
    Mutant("doubles-at-random", "three of a hundred mails are sent twice", ("steady", "two-daemons"),
           (Edit("mail/smtp/session.py", "        else:\n            current.end(kind, reply.words, to_recipient=phase is not Phase.MAIL)\n",
                 "        elif kind is OutcomeKind.SENT and not hasattr(current, \"twice\") and hash(current.commands(self._offered)) % 33 == 0:\n"
                 "            current.twice = True\n"
                 "            self._owner.again(current)\n"
                 "        else:\n            current.end(kind, reply.words, to_recipient=phase is not Phase.MAIL)\n"),)),
    Mutant("no-shadows", "no shadows are ever set", ("steady", "clock-ahead"),
           (Edit("engine/alarms.py", "await self._shadows.set(later)", "pass"),)),
    Mutant("no-reports", "the stream of reports is ignored", ("steady", "clock-ahead"),
           (Edit("daemon/watcher.py", "mine = self._lanes.by_lane([id_ for id_ in batch.ids if self._share.mine(id_)])",
                 "mine = self._lanes.by_lane([id_ for id_ in batch.ids if self._share.mine(id_) and self._name != 'reported'])"),)),
    Mutant("suppressions-ignored", "suppressions are ignored", ("suppressed",),
           (Edit("domain/recipient.py", "if suppression is not None:\n        return _suppressed(suppression)", "if suppression is not None and suppression.dead:\n        return _suppressed(suppression)"),)),
    Mutant("breaker-never-holds", "the breaker never holds back", ("relay-down",),
           (Edit("engine/breaker.py", "        if self._until is None:\n            return free\n        return 1 if now >= self._until and in_flight == 0 else 0", "        return free"),
            Edit("engine/breaker.py", "return None if self._until is None else max(self._until - now, 0.0)", "return None"))),
    Mutant("plans-unguarded", "plans are written whatever was reported since", ("order-race-slow-plan",),
           (Edit("mongo/updates.py", "guard=unchanged(plan.seen),", 'guard={"_id": plan.seen.id},'),)),
    Mutant("position-before-the-look", "the position is saved before the look, and nothing sweeps at the start or when daemons change", ("position-kept",),
           (Edit("daemon/watcher.py", "SAVE_EVERY = 1.0", "SAVE_EVERY = 0.0"),
            Edit("daemon/watcher.py", "                    under_way.append((batch,", "                    await self._insist(self._save, batch)\n                    under_way.append((batch,"),
            Edit("daemon/sweep.py", '        await self._insist(lambda: self.due_now("start"))\n', ""),
            Edit("daemon/heartbeat.py", "            self._on_shared()  # what", "            pass  # what"))),
    Mutant("no-second-look", "no second look at an address after the claim", ("one-address",),
           (Edit("engine/engine.py", "        if not contested:\n            return histories", "        if contested or not contested:\n            return histories"),)),
    Mutant("wall-clock-ahead", "the clock reads this machine's wall clock", ("clock-ahead",),
           (Edit("mongo/clock.py", "return at + timedelta(seconds=moment - seconds)", "return datetime.now(UTC)"),)),
    Mutant("no-least-gap", "no least gap between two reminders", ("three-days-down",),
           (Edit("domain/decision.py", "send_at = max(send_at, written_at + schedule.min_gap)", "pass"),)),
    Mutant("never-too-late", "nothing is ever too late", ("three-days-down",),
           (Edit("domain/decision.py", '    if late > step.max_lateness:\n        return "too late to be of use"\n    if not', "    if not"),)),
    Mutant("lease-is-no-alarm", "the end of a lease is not the next look", ("kill-resend",),
           (Edit("mongo/updates.py", '"next_at": claim.until,\n    }', '"next_at": None,\n    }'),)),
    Mutant("skip-is-resend", "`skip` is taken for `resend`", ("kill-skip",),
           (Edit("domain/decision.py", "if message.may_be_taken and schedule.on_ambiguous is OnAmbiguous.SKIP:", "if False:"),)),
    Mutant("doubt-is-tried-again", "with `skip`, what is in doubt is tried once more", ("relay-lost-skip",),
           (Edit("domain/retry.py", "if schedule.on_ambiguous is OnAmbiguous.SKIP or ambiguous > MOST_AMBIGUOUS:", "if ambiguous > MOST_AMBIGUOUS:"),)),
    Mutant("skip-gives-up-all", "`skip` gives up what was never handed over", ("kill-skip",),
           (Edit("domain/state.py", "self.state is MessageState.SENDING and self.handed_over is not False", "self.state is MessageState.SENDING"),)),
    Mutant("hearts-beat-for-ever", "heartbeats never expire, and nothing is everybody's", ("two-daemons",),
           (Edit("mongo/daemons.py", '{"beat_at": {"$gt": now - expiry}}', "{}"),
            Edit("daemon/sweep.py", "if self._everybodys is not self._mine:", "if False:"))),
    Mutant("orders-unheeded", "`decide()` does not heed the order", ("order-race",),
           (Edit("domain/decision.py", "    if checkout.status is Status.ORDERED:\n        if schedule.confirmation", "    if False:\n        if schedule.confirmation"),)),
    Mutant("unreadable-raises", "a document that cannot be read raises", ("poison",),
           (Edit("mongo/documents.py", "    except ValidationError as exc:\n", "    except ZeroDivisionError as exc:  # type: ignore[misc]\n"),)),
    Mutant("one-node-will-do", "reports are acknowledged by one node alone", ("primary-killed-ingestion",),
           (Edit("mongo/collections.py", 'WriteConcern("majority", wtimeout=ACKNOWLEDGED_WITHIN_MS, j=True)', "WriteConcern(1)"),)),
    Mutant("outages-end-records", "a record is given up after one outage", ("outage-beyond-lease", "disk-full"),
           (Edit("engine/recorder.py", "                self._recorded.clear()\n                await asyncio.sleep(RECORD_AGAIN_AFTER)\n", "                break\n"),)),
    Mutant("faults-burn-attempts", "faults of the relay burn attempts", ("relay-down", "quota-words"),
           (Edit("domain/retry.py", "return {**uncounted, \"retry_at\": retry_at}", "return {**uncounted, \"attempts\": message.attempts, \"retry_at\": retry_at}"),)),
    Mutant("later-is-never", "\"later\" is taken for \"never\"", ("relay-answers",),
           (Edit("domain/retry.py", "    return _tried(message, schedule, now, jitter)\n\n\ndef _ambiguous", "    return _dead(Cause.ATTEMPTS)\n\n\ndef _ambiguous"),)),
    Mutant("errors-end-daemons", "no error of the database is known to pass, nor tried again", ("disk-full", "read-only"),
           (Edit("mongo/errors.py", "        if temporary(exc):\n            raise Unavailable(said(exc)) from exc\n        raise Refused", "        raise ValueError"),)),
    Mutant("nothing-is-late", "the sweep does not look at what is late", ("no-expiry",),
           (Edit("daemon/sweep.py", 'self._late = await self._look_at_due(self._grace, "sweep", self._mine)', "self._late = 0"),
            Edit("daemon/sweep.py", "if self._everybodys is not self._mine:", "if False:"))),
    Mutant("no-pause", "streams that fail are opened again at once", ("history-lost-open",),
           (Edit("mongo/feed.py", "            await asyncio.sleep(AGAIN_AFTER)\n\n    def _moved", "            await asyncio.sleep(0)\n\n    def _moved"),)),
    Mutant("loss-is-nothing", "nothing is swept after a loss, nor when daemons change", ("history-lost-read",),
           (Edit("daemon/watcher.py", "self._lanes.behind()  # each", "pass  # each"),
            Edit("daemon/heartbeat.py", "            self._on_shared()  # what", "            pass  # what"))),
    Mutant("dead-token", "a refused position is sent again", ("token-refused",),
           (Edit("mongo/feed.py", "token, lost = None, f\"the server refused the position: {exc}\"", "pass"),)),
    Mutant("no-repair", "collections are not repaired", ("shadows-dropped",),
           (Edit("daemon/watcher.py", "            await self._repair()\n", ""),)),
    Mutant("upkeep-speaks", "what goes wrong with a kept connection is the message's fault", ("idle-relay-skip", "idle-relay-resend"),
           (Edit("mail/smtp/conversation.py", "        if self.is_open:\n            self._transport.write(command(b\"QUIT\"))", "        self._transport.write(command(b\"QUIT\"))"),
            Edit("mail/smtp/pool.py", "        if not session.is_open:\n            session.drop()\n        elif self._closed", "        if self._closed"))),
    Mutant("replies-undecoded", "replies keep bytes that are no text, and one record takes its batch along", ("latin1-reply",),
           (Edit("mail/smtp/conversation.py", 'line.decode("utf-8", "backslashreplace")', 'line.decode("utf-8", "surrogateescape")'),
            Edit("mail/smtp/conversation.py", 'self.text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")', "self.text"),
            Edit("mongo/checkouts.py", "UNWRITABLE = (InvalidDocument, DocumentTooLarge, UnicodeError, OverflowError)", "UNWRITABLE = (ZeroDivisionError,)"),
            Edit("engine/recorder.py", "except Exception as exc:  # noqa: BLE001  one that", "except ZeroDivisionError as exc:  # noqa: BLE001  one that"))),
    Mutant("impatient-after-the-dot", "after the dot the relay has no more time than before", ("slow-after-dot",),
           (Edit("mail/smtp/session.py", "self._patience.begin(self._dot_timeout)", "self._patience.begin(self._timeout)"),)),
    Mutant("leases-not-renewed", "leases are not renewed while the relay has the word", ("slow-after-dot",),
           (Edit("engine/leases.py", "if now - each.leased_at > each.lease / 3", "if False"),)),
    Mutant("doubt-without-end", "an ambiguous message is tried again and again", ("never-after-dot",),
           (Edit("domain/decision.py", "MOST_AMBIGUOUS = 1", "MOST_AMBIGUOUS = 100"),)),
    Mutant("rivals-unseen", "members of one batch do not see each other", ("batch-rivals",),
           (Edit("mongo/addresses.py", "if other_id != id_]", "if other_id not in addresses]"),)),
    Mutant("stop-abandons", "a stop abandons what is being claimed, and gives nothing back", ("deploys-skip", "deploys-resend"),
           (Edit("engine/sender.py", "        self.begin_stop()\n        loop", "        self._tasks.clear()\n        self._in_flight = 0\n        loop"),
            Edit("app/daemon.py", "            lane.engine.sender.begin_stop()\n", "            pass\n"))),
    Mutant("lost-claims-kept", "claims whose acknowledgement is lost are not given back, `skip` gives them up", ("lost-acknowledgements",),
           (Edit("engine/engine.py", "                self.sender.end(flight, Outcome(OutcomeKind.CALLED_OFF, why))\n            raise", "                pass\n            self.sender.give_up(flights)\n            raise"),
            Edit("domain/state.py", "self.state is MessageState.SENDING and self.handed_over is not False", "self.state is MessageState.SENDING"))),
    Mutant("sick-keeps-its-share", "a daemon that cannot send keeps its share", ("sick-daemon",),
           (Edit("daemon/share.py", "return shop in self.well or not (shop in self.sick or ALL_OTHERS in self.sick)", "return True"),
            Edit("daemon/sweep.py", "if self._everybodys is not self._mine:", "if False:"))),
    Mutant("sick-for-ever", "a daemon without work does not find out that its relay is back", ("sick-daemon",),
           (Edit("engine/sender.py", "if self.breaker.fault is None or self.room() == 0:", "if True:"),)),
    Mutant("streams-wait-for-relays", "a stream waits for the relay of one shop after a loss", ("two-lanes",),
           (Edit("daemon/watcher.py", "self._lanes.behind()  # each", "[await lane.sweep.due_now(\"lost\") for lane in self._lanes.all]  # each"),)),
    Mutant("newer-is-poison", "what a newer version has written is poison", ("version-skew",),
           (Edit("mongo/documents.py", "if isinstance(schema, int) and schema > SCHEMA:", "if False:"),
            Edit("mongo/queues.py", ', "schema": {"$not": {"$gt": SCHEMA}}}', "}"))),
    Mutant("no-room-no-neighbours", "a document without room takes its batch along", ("poison-bytes",),
           (Edit("mongo/checkouts.py", "            if temporary(exc):\n                raise\n            details", "            if exc:\n                raise\n            details"),)),
    Mutant("stale-means-unsent", "what is stale is not asked about again", ("slow-acknowledgements",),
           (Edit("engine/flight.py", "            answer = await self._last_check.ask(self.request)\n", "            return \"too late\"\n            answer = await self._last_check.ask(self.request)\n"),)),
    Mutant("words-unheard", "words of quotas are not heard, and nothing brakes", ("quota-words",),
           (Edit("mail/smtp/replies.py", "said, enhanced = wordings(text), _enhanced(code, text)", "said, enhanced = frozenset(), _enhanced(code, text)"),
            Edit("engine/brake.py", "return self.fault is not None", "return False"))),
    Mutant("no-brake", "nothing brakes suppressions", ("strange-words",),
           (Edit("engine/brake.py", "return self.fault is not None", "return False"),)),
    Mutant("calls-unbounded", "a call waits for the database as long as it takes", ("frozen-intake",),
           (Edit("mongo/group_commit.py", "time.monotonic() + within", "time.monotonic() + 600"),)),
    Mutant("outbox-forgets", "what an outbox is given is not committed to its file", ("outbox-killed",),
           (Edit("client/journal.py", 'connection.execute("INSERT INTO reports (shop, address, what, report) VALUES (?, ?, ?, ?)", row)', "pass"),)),
    Mutant("connections-unbounded", "anybody may have as many connections as there are open files", ("silent-connections",),
           (Edit("http/connections.py", "if len(self.connections) > (", "if False and len(self.connections) > ("),)),
    Mutant("pipelines-unbounded", "requests are read ahead without end", ("pipelined-requests",),
           (Edit("http/connections.py", " or len(self.pipeline) > MOST_AHEAD:", ":"),)),
    Mutant("bounces-first", "reports of bounces are unfolded in time that grows as the square of their size, one right after the other", ("hostile-bounces",),
           (Edit("http/turns.py", "await asyncio.sleep((time.perf_counter() - began) * (1 / SHARE - 1))", "pass"),
            Edit("mail/bounces.py", '" ".join(filter(None, (line.strip() for line in str(value).splitlines())))', 're.sub(r"\\s*\\r?\\n[ \\t]+", " ", str(value))'))),
    Mutant("smtputf8-kills", "an address that our relay cannot write is called dead", ("no-smtputf8",),
           (Edit("mail/smtp/delivery.py", "OutcomeKind.DEAD_MESSAGE, \"the relay does not offer", "OutcomeKind.DEAD_ADDRESS, \"the relay does not offer"),)),
    Mutant("one-bad-message", "a message that the relay hangs up on is tried for ever", ("bad-recipient",),
           (Edit("engine/setbacks.py", "if count > FREE_SETBACKS and before", "if False and before"),)),
    Mutant("receiver-forgotten", "what one receiver says is taken for the relay's word", ("slow-receiver",),
           (Edit("engine/receivers.py", "        word = self._word(receiver, outcome)\n", "        word = None\n"),)),
    Mutant("no-is-unheard", "a refusal of consent is not heeded where none is required", ("consent-withdrawn",),
           (Edit("domain/decision.py", "if given is False:", "if False:"),)),
    Mutant("quiet-is-loud", "quiet hours are not heeded", ("quiet-hours",),
           (Edit("domain/decision.py", "if end := schedule.quiet_hours.end_after(send_at, where):", "if False:"),
            Edit("domain/decision.py", "    if schedule.quiet_hours is None or not step.kind.respects_quiet_hours:\n        return None", "    return None"))),
    Mutant("erased-is-kept", "an erasure leaves the checkout", ("erased",),
           (Edit("mongo/data_subjects.py", "            await settled(self._checkouts.delete_many(these))\n", ""),)),
    Mutant("failed-calls-acknowledged", "the driver does not retry, and a call that failed is acknowledged", ("step-down-ingestion",),
           (Edit("mongo/connection.py", "        return kind(uri, **(defaults | options))", "        return kind(uri, **(defaults | options | {\"retryWrites\": False}))"),
            Edit("client/direct.py", "            await self._group.write(write, call.left)", "            try:\n                await self._group.write(write, call.left)\n            except Exception:\n                pass"))),
    Mutant("nothing-is-tried-again", "the driver does not retry, and no error of the database is known to pass", ("step-down-burst",),
           (Edit("mongo/connection.py", "        return kind(uri, **(defaults | options))", "        return kind(uri, **(defaults | options | {\"retryWrites\": False, \"retryReads\": False}))"),
            Edit("mongo/errors.py", "        if temporary(exc):\n            raise Unavailable(said(exc)) from exc\n        raise Refused", "        raise ValueError"))),
    Mutant("deafness-untold", "a stream that stands still is taken for a quiet one", ("deaf-daemon",),
           (Edit("mongo/feed.py", "if still_for > STALLED_AFTER else None", "if False else None"),)),
    Mutant("silence-untold", "a database that does not answer is not told of", ("frozen-database",),
           (Edit("daemon/heartbeat.py", "if silent_for > self._expiry.total_seconds():", "if False:"),)),
    Mutant("first-come-first-served", "confirmations wait behind what was due before them", ("hot-shop",),
           (Edit("mongo/queues.py", "found = await self._ids({**_waiting(until), \"status\": Status.ORDERED.value}, limit, mine, shops)", "found: list[str] = []"),)),
    Mutant("unbounded-wait", "a message waits for a connection however long, and nobody asks again before the content", ("order-race-slow-relay",),
           (Edit("mail/smtp/mailer.py", "time() + hand_over_within", "time() + 60"),
            Edit("engine/flight.py", "return asyncio.get_running_loop().time() <= self._known_at + self._fresh_for", "return True"))),
    Mutant("announced-is-granted", "a message that is announced behind another is sent without asking again", ("stalled", "order-race-slow-relay"),
           (Edit("mail/smtp/session.py", "if current.permission.granted():", "if self._behind or current.permission.granted():"),)),
    Mutant("cancelled-goes-on", "a cancellation is counted and changes nothing", ("cancelled",),
           (Edit("mongo/intake.py", "KEPT, _merged(status=Status.CANCELLED)]", "KEPT, _merged()]"),)),
)  # fmt: skip

MUTANTS = (
    *_FIRST,
    *_also("wall-clock-ahead", "clock-behind"),
    *_also("no-last-check", "slow-banner", "slow-mail", "slow-data", "stalled-claim"),
    *_also("errors-end-daemons", "read-only"),
    *_also("nothing-is-tried-again", "primary-killed-burst", "frozen-primary"),
    *_also("suppressions-ignored", "unsubscribed"),
    *_also("upkeep-speaks", "idle-relay-resend"),
    *_also("stop-abandons", "deploys-resend"),
)
