// Package dispatch gets a crew to a car.
//
// An owner's call becomes a Request, pinned to the promise area it lies in.
// Match asks the index of crews who is nearest, free, able and fresh, times
// the shortlist by road, adds the crews that will be free after the job they
// have, lets Assign choose for all that waits in the area together, and makes
// each an Offer to one Crew. What is planned for a crew that is not free yet,
// or put off for promises that can still be kept, stays open with the reason in
// Held; stranded is only what nobody able could take. Where a promise would be
// broken a crew may be swapped: its offer is withdrawn, or its job released,
// and both requests get their offers in the same transaction, or nothing
// changes. The crew accepts, and the three rows step together; or it refuses,
// or says nothing, and the offer lapses and the next crew is asked, never the
// same one twice. On the spot, Weigh decides from positions and words when the
// crew was truly there.
//
// Travel times come from a routing engine, if there is one, within a deadline,
// and else from the straight-line model as finished jobs have corrected it. As a
// crew departs, where it stands and what was predicted are kept; once the job
// is finished, LearnSpeeds learns from the drive, unless an end of it was not
// measured, or the crew was swapped or stood on its way. What is learned moves
// plans and expected arrivals, never a promise: that is the policy's.
//
// Beside that, Ready says where idle crews should stand for the calls to come,
// by a CallHistory of those that were. It is advice; nothing follows from it.
//
// Meanwhile Warn looks ahead over all that wait for help. Foresee reads each
// crew's trail and the queue, and says when help is expected, what endangers
// the promise and which crew would still make it; what has changed since it was
// last told becomes an event.
//
// The index and the live queue are hints. What must be true once is a row
// lock or a unique index: one active request per crew, one pending offer per
// request and per crew, one open request per plate. Every change of state
// goes through step, in one transaction with its events, and rows are locked
// in one order: requests, crews, offers, each by ascending identifier.
//
// The lifecycles are RequestLife, CrewLife and OfferLife:
//
//	request   open       offer → offered · exhaust → stranded · cancel → cancelled
//	          stranded   offer → offered · cancel → cancelled
//	          offered    accept → assigned · lapse → open · cancel → cancelled
//	          assigned   depart → en_route · arrive → on_scene · release → open · cancel → cancelled
//	          en_route   arrive → on_scene · release → open · cancel → cancelled
//	          on_scene   finish → done · release → open · cancel → cancelled
//
//	crew      off_duty   start_shift → available
//	          available  offer → held · end_shift → off_duty
//	          held       accept → engaged · lapse → available
//	          engaged    finish, release → available · end_shift → finishing
//	          finishing  finish, release → off_duty · start_shift → engaged
//
//	offer     pending    accept → accepted · decline → declined · expire → expired · withdraw → withdrawn
//
// A cancelled request withdraws the offer that is out and releases the crew
// that is bound. A bare tap of a crew is no arrival: the request keeps its
// state until something bears the tap out or an operator decides.
//
// Times are business time, UTC, in microseconds; distances metres; positions
// WGS-84 degrees, with what was given kept beside them.
package dispatch
