package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rescued/geo"
)

// carryOut checks the policy's orders and does them. First every crew named
// ends what it does, then all begin, so that two crews may swap requests.
func (e *engine) carryOut() error {
	o := &e.orders
	e.named.reset(len(e.view.Crews))
	for _, c := range o.commits {
		if err := e.release(c); err != nil {
			return fmt.Errorf("crew %s to request %d: %w", e.crewName(c.crew), c.request, err)
		}
	}
	for _, m := range o.moves {
		if err := e.readyToMove(m); err != nil {
			return fmt.Errorf("move of crew %s to %v: %w", e.crewName(m.crew), m.to, err)
		}
	}
	for _, c := range o.commits {
		if err := e.commit(c); err != nil {
			return fmt.Errorf("crew %s to request %d: %w", e.crewName(c.crew), c.request, err)
		}
	}
	for _, m := range o.moves {
		e.view.standing.SetFree(m.crew, false)
		e.depart(m.crew, m.to)
		e.view.moving.add(m.crew)
	}
	for _, at := range o.wakes {
		ms := at.UnixMilli()
		if _, asked := e.asked[ms]; !asked && at.After(e.view.Now) {
			e.asked[ms] = struct{}{}
			e.queue.push(event{at: ms, kind: wakes, crew: nobody})
		}
	}
	return nil
}

func (e *engine) crewName(i int) string {
	if i < 0 || i >= len(e.view.Crews) {
		return fmt.Sprintf("no. %d", i)
	}
	return e.view.Crews[i].ID
}

// release checks that a crew may be given another task and ends its present
// leg where it is.
func (e *engine) release(c commitment) error {
	if err := e.name(c.crew); err != nil {
		return err
	}
	crew := &e.view.Crews[c.crew]
	switch {
	case crew.State == OnScene:
		return fmt.Errorf("it is on scene of request %d until %s", crew.Request, stamp(crew.FreeAt))
	case c.request == nobody && crew.State != Driving:
		return fmt.Errorf("there is nothing to recall it from")
	case c.request != nobody && c.request == crew.Request:
		return fmt.Errorf("it drives there already")
	case c.request != nobody && !crew.OnShift:
		return fmt.Errorf("its shift is not on")
	}
	if crew.State != Driving {
		return e.stop(c.crew)
	}
	left := crew.Request
	e.view.Requests[left].Swaps++
	e.wait(left)
	e.active--
	crew.working += milliseconds(e.view.Now.Sub(crew.CommittedAt))
	e.view.engaged.Remove(c.crew)
	if err := e.stop(c.crew); err != nil {
		return err
	}
	crew.Request, crew.FreeAt = nobody, time.Time{}
	if crew.OnShift {
		e.idle(c.crew)
	} else {
		e.leave(c.crew)
	}
	return nil
}

func (e *engine) name(crew int) error {
	if crew < 0 || crew >= len(e.view.Crews) {
		return fmt.Errorf("there is no such crew")
	}
	if e.named.has(crew) {
		return fmt.Errorf("it is named twice")
	}
	e.named.set(crew)
	return nil
}

func (e *engine) readyToMove(m move) error {
	if err := e.name(m.crew); err != nil {
		return err
	}
	if e.view.Crews[m.crew].State != Idle {
		return fmt.Errorf("it is not idle")
	}
	if !m.to.Valid() {
		return fmt.Errorf("there is no such place")
	}
	return e.stop(m.crew)
}

// commit starts a crew on its way to a request.
func (e *engine) commit(c commitment) error {
	v := &e.view
	if c.request == nobody {
		return nil
	}
	if c.request < 0 || c.request >= len(v.Requests) {
		return fmt.Errorf("that call is not made yet")
	}
	r, crew := &v.Requests[c.request], &v.Crews[c.crew]
	at, waits := slices.BinarySearch(v.Waiting, c.request)
	switch {
	case !crew.Can.Has(r.Need):
		return fmt.Errorf("it lacks a capability")
	case !waits:
		return fmt.Errorf("it does not wait: crew %s has it", e.crewName(r.Crew))
	}
	v.Waiting = cut(v.Waiting, at)
	v.open.Remove(c.request)
	v.standing.SetFree(c.crew, false)
	r.Crew = c.crew
	crew.State, crew.Request = Driving, c.request
	e.depart(c.crew, r.At)
	v.driving.add(c.crew)
	crew.FreeAt = crew.ArrivesAt.Add(v.Service)
	v.engaged.Put(c.crew, r.At, crew.Can, true, v.Now)
	e.active++
	return nil
}

// cut removes one of a list, moving the shorter part of what is around it: in
// a storm the first of many thousands go first.
func cut(list []int, at int) []int {
	if at < len(list)/2 {
		copy(list[1:at+1], list[:at])
		return list[1:]
	}
	return slices.Delete(list, at, at+1)
}

// depart begins a leg.
func (e *engine) depart(i int, to geo.Point) {
	v := &e.view
	c := &v.Crews[i]
	c.leg++
	c.Moves, c.To, c.CommittedAt = true, to, v.Now
	c.DepartsAt = v.Now.Add(v.Turnout)
	c.ArrivesAt = c.DepartsAt.Add(legTime(v.Travel(c.From, to)))
	e.queue.push(event{at: c.ArrivesAt.UnixMilli(), kind: arrives, crew: int32(i), leg: int32(c.leg)})
}

// stop ends the leg of a crew under way where it is. A crew that stands, stands.
func (e *engine) stop(i int) error {
	v := &e.view
	c := &v.Crews[i]
	if !c.Moves {
		return nil
	}
	return e.end(i, v.Place(i), v.Now, false)
}

// arrive ends a leg at its end.
func (e *engine) arrive(i int) error {
	c := &e.view.Crews[i]
	if err := e.end(i, c.To, e.view.Now, true); err != nil {
		return err
	}
	if c.State == Driving {
		c.State = OnScene
		e.queue.push(event{at: c.FreeAt.UnixMilli(), kind: frees, crew: int32(i)})
	}
	return nil
}

// end tells the watch of a leg and puts the crew at its end.
func (e *engine) end(i int, at geo.Point, when time.Time, arrived bool) error {
	c := &e.view.Crews[i]
	leg := Leg{Crew: i, Request: c.Request, CommittedAt: c.CommittedAt, From: c.From, EndedAt: when, Arrived: arrived}
	metres := geo.Distance(c.From, at) * e.world.Model.Detour
	e.driven += metres
	if leg.Request == nobody {
		e.moved += metres
	}
	c.From, c.Moves = at, false
	if leg.Request == nobody {
		e.view.moving.remove(i)
		e.view.standing.Put(i, c.From, c.Can, true, e.view.Now)
	} else {
		e.view.driving.remove(i)
	}
	if e.watch.Leg == nil {
		return nil
	}
	return e.watch.Leg(leg)
}

// finishMoves lets the idle crews still under way at the end arrive.
func (e *engine) finishMoves() error {
	v := &e.view
	last := slices.Clone(v.moving.member)
	slices.SortFunc(last, func(a, b int) int {
		return cmp.Or(v.Crews[a].ArrivesAt.Compare(v.Crews[b].ArrivesAt), cmp.Compare(a, b))
	})
	for _, i := range last {
		if err := e.end(i, v.Crews[i].To, v.Crews[i].ArrivesAt, true); err != nil {
			return err
		}
	}
	return nil
}
