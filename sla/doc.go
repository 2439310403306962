// Package sla keeps the arrival promise and says what a broken one owes.
//
// A request is opened with a promise: help within so many minutes, by a
// pinned version of a [Policy]. RequestOpened arms a guarantee exactly as
// shown. What happens afterwards is heard as events and kept as facts, each
// with the time at which it happened; [Policy.Owed] turns the set of facts
// into a [Verdict]: in time or late, by how much to the microsecond, how many
// fen, and why, line by line in Chinese and English. It is a function of the
// policy and the facts alone. So events may come late, twice or in any order,
// and sweeps may run whenever they like: outcome and amount are the same.
//
// A late verdict accrues a compensation, booked as double entry. The policy
// approves it within its limits; else it waits for finance, which approves,
// disputes, upholds, overturns or voids it. endorse is the first of the two
// approvals that a compensation above the four-eyes limit needs. What waits can
// be approved at once ([Service.ApproveMany]), as it was seen and no more; two
// approvers, a preparer, a review or another verdict are never passed over.
//
// # Lifecycles
//
// A pair not listed is refused; a state without a row is final.
//
//	Guarantee   armed     deadline → breached · arrive_in_time → met · arrive_late → late
//	                      cancel_in_time → void · cancel_late → late · amend → armed · waive → waived
//	            breached  arrive_in_time → met · arrive_late → late
//	                      cancel_in_time → void · cancel_late → late · amend → armed · waive → waived
//	            met, late, void
//	                      revise_met → met · revise_late → late · revise_void → void · reopen → armed
//
//	Compensation accrued  approve → approved · endorse → accrued · dispute → disputed · void → void
//	            disputed  uphold → approved · endorse → disputed · overturn → void
//	            approved  batch → batched · dispute → disputed · void → void
//	            batched   unbatch, bounce → approved · pay → paid
//
//	Chargeback  charged   reverse → reversed
//
//	Statement   draft     issue → issued · discard → discarded · decide → draft
//	            issued    decide → issued · confirm, lapse → confirmed
//	            confirmed invoice → invoiced · settle → settled
//	            invoiced  settle → settled
//
//	Its lines   listed    dispute → disputed · withdraw → withdrawn
//	            disputed  uphold → upheld · overturn → overturned · withdraw → withdrawn
//	            upheld    withdraw → withdrawn
//
//	Batch       draft     add, remove → draft · seal → sealed · discard → discarded
//	            sealed    approve → approved · reject → discarded
//	            approved  submit → submitted
//	            submitted record, resend → submitted · close → settled
//
//	Day         open      sign → signed · close → closed
//	            signed    sign → signed · close → closed
//
//	Import      loading   load → loaded · prepare → prepared
//	            prepared  approve → approved · reject → rejected
//
// A verdict has a row of its own, though it looks like an end, because news
// does not stop with it: an earlier proof comes to light, or the crew whose
// arrival stopped the clock gives the request back. Were the first verdict to
// stand, the order of hearing would decide about money. So a verdict can be
// revised to any other, and reopened when the arrival it rested on counts no
// more; the clock then runs again and may alarm again, and GuaranteeArmed
// tells it. Only a waiver, a person's decision, stands whatever is heard.
//
// at_risk is raised by what dispatch warns of (RequestWarned, with the remedy
// it names) and, should nobody warn, by the sweep: little time left, or a crew
// that was expected late when it accepted. It is raised once.
//
// What was imported is history: judged once, when it is brought in, by the
// policy as if it had been opened then, in normal weather: what was declared
// here bears on what was promised here. It raises no alarm and nothing heard
// later changes it. A payable import accrues once finance has approved it.
//
// breached is an alarm and no verdict: the deadline has passed and nobody is
// known to have arrived. It is the only thing besides at_risk that a sweep
// does, and it never leads to an amount.
//
// amend moves the deadline while nobody has come: a pause begins, ends or is
// approved, or the clock starts late. DeadlineMoved tells it, and the alarms
// may be raised again. A breach that it undoes, because a pause was recorded
// or approved afterwards and the deadline lies ahead again, is armed again.
// The live queue shows the moved deadline; dispatch goes on planning by the
// promise as it was shown, so a pause never makes it put a request off.
//
// # What people record
//
// A pause, an attempt to reach the owner, a price and the like are facts that
// somebody records; who did, and what he noted, is kept beside them. Nothing
// recorded is changed: it is ended, approved or withdrawn by a further fact.
// A pause recorded afterwards counts, where the policy asks for it, once a
// second person has approved it.
//
// A condition (a weather alert, a closure, a remote area, storm mode) is
// declared for a region and a time. It becomes a fact of every request there
// and then, whether it is opened before or after, and said anew it becomes a
// further one; of several tellings the last holds. Storm mode is announced
// before it begins: requests opened from then on are promised in its light.
//
// # Policies
//
// A [Policy] is data, stored once and never edited. One person adds a version
// and another activates it; a request is promised under the version in force
// when it is opened, of the policy that says it is for such requests, or of
// the service's own. The facts a verdict rests on are never changed either:
// what was recorded wrongly is withdrawn by another fact ([FactWithdrawn]),
// what needs approval is approved by one ([FactApproved]). [Service.Try] runs
// a policy over the rescues there were.
//
// # Paying
//
// Each payment is posted by itself: what was owed is on its way once its batch
// is submitted, and has left the bank, or is owed again, once its result is
// told. A result is told once; the same again changes nothing.
//
// A business day ends at midnight in China. What a bank or payment house says
// it paid on one stands beside what the books paid on it, in four lists:
// matched by reference, amount and day, ours only, theirs only, amounts
// differ. Days close in their order, where nothing is left over or a person
// has signed for what is and another closes it. Nothing is booked into a
// closed day: a payment of it that is told later belongs to the next open day,
// and so does any posting that would fall into it.
//
// # Who bears it
//
// [Policy.Attribute] says by whom an arrival was late: the wait is cut into
// phases, each is allowed some time, and what goes beyond is lost by whoever
// had the request, unless something outside outranks him. An approval charges
// others what they bear, in the same transaction, by what is known then: the
// first does, news that leaves the amount alone and later approvals charge
// nobody anew, and what was known is kept for whoever works it out again. A
// void reverses it. A bearer's charges stand on its monthly statement, each on
// one; what is taken back while that is open leaves it, and afterwards is
// credited on the next. A provider's lists its services too, and its fees are
// booked as payable when its fapiao is recorded; settling takes them and the
// charges off the books, each paid in money, or set off with only the
// difference paid. A partner's lists how its customers were served, and what
// share it bears of which compensation by which policy version. It goes the
// same way with the money in one direction: the fapiao is ours, no fees are
// owed, and settling books its share as received. What is invoiced is stated
// and booked with tax; the rate is noted, and the tax is not booked apart.
// What anybody takes away as a file is an [Export], and is recorded.
//
// # What counts
//
//   - The earliest arrival that is proven stops the clock, by whatever proof;
//     a policy may rank the kinds of proof, and take some for none. Exactly at
//     the deadline is in time; exactly ten minutes late is the tier up to ten.
//   - The clock starts with acceptance, or with a fact the policy names; until
//     that is known it runs or waits, as the policy says. A fact or a pause
//     that begins after the deadline comes too late to move it.
//   - A pause counts if the policy has a rule for it and its evidence is there;
//     it ends by itself after its longest length. Attempts to reach the owner
//     of one moment are one attempt, and so are those that lie less far apart
//     than the policy asks.
//   - An exclusion cuts what a lateness pays and leaves the lateness as it is.
//     One that a fact speaks for and that does not hold says why.
//     It holds if it began before the deadline; storm mode only if it was
//     announced before the request and shown with the promise.
//   - An arrival does not count once the same crew released the request at or
//     after it, from whatever state: the owner still waited.
//   - A cancellation before any arrival that counts ends the promise: in time
//     nothing is owed, after the deadline the tier reached, unless the policy
//     says otherwise of either, or of calling off because nobody could come.
//   - The end of the crew's work is no proof of when it came. A request that
//     finishes without a proven arrival is marked for review and its clock
//     runs on until an operator decides, which is heard as an arrival.
//   - A car's month is used up by what its rescues owe, and by what was imported
//     to be paid, whichever was told first. What finance gives up leaves room
//     for what comes later, and changes no verdict that was told before.
//   - Another amount after a verdict voids the live compensation and accrues
//     a new one. One that is batched or paid stays, and the difference waits
//     as a note for a person. What finance voided stays void until news of
//     the rescue changes the amount.
//
// # Where things are
//
// A file's first word is its noun, what follows the part: none for types and
// what is decided purely, _service for commands (_many, _draft, _decide … where
// they are many), _store for SQL, _http for routes and wire shapes, and _test.
//
//	policy, fact, clock, explain   what is promised, what is known, the verdict and its words: pure
//	guarantee, keep, consume,      a promise from its opening to its verdict: what is heard,
//	  sweep                          what it makes of the guarantee, and the alarms
//	record, condition              what people record, of a request or for a region
//	import                         history of other systems
//	compensation, approval, spent, what is owed, who says yes, and the caps it is weighed against
//	  month
//	ledger                         accounts, postings, chain, balances
//	batch, payout, payments        from approved to paid
//	foreign, reconcile, day        what the bank says, and the closing of a day
//	attribution, chargeback,       who bears it, and a month settled with each
//	  statement
//	export, report, total, zone    what finance takes away and sees
//	verify                         everything recomputed
package sla
