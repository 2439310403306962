package sla

import (
	"fmt"
	"time"
)

// CompensationKind names a way to work out an amount.
type CompensationKind string

// The ways to work out an amount.
const (
	KindTiers     CompensationKind = "tiers"      // a fixed amount per band of lateness
	KindPerMinute CompensationKind = "per_minute" // an amount for each full minute
	KindPerBlock  CompensationKind = "per_block"  // an amount for each started block
	KindPercent   CompensationKind = "percent"    // a percentage of a base per band of lateness
)

// Base is what a percentage is taken of.
type Base string

// The bases.
const (
	BaseFixed      Base = "fixed"       // base_fen
	BaseServiceFee Base = "service_fee" // what bearers.service_fee_fen says
	BasePrice      Base = "price"       // what this rescue costs, base_fen while that is not known
)

// CompensationRule is how lateness becomes money. Lateness counts from the
// deadline, also when there is a grace.
type CompensationRule struct {
	Kind         CompensationKind `json:"kind" enum:"tiers,per_minute,per_block,percent" doc:"How the amount is worked out."`
	Tiers        []Tier           `json:"tiers,omitempty" doc:"tiers and percent: bands of lateness, joined without gap or overlap; the last has no end."`
	PerMinuteFen Fen              `json:"per_minute_fen,omitempty" doc:"per_minute: owed for each full minute of lateness, in fen."`
	BlockS       int64            `json:"block_s,omitempty" doc:"per_block: length of a block, in seconds."`
	PerBlockFen  Fen              `json:"per_block_fen,omitempty" doc:"per_block: owed for each started block, in fen."`
	Base         Base             `json:"base,omitempty" enum:"fixed,service_fee,price" doc:"percent: what the percentage is taken of."`
	BaseFen      Fen              `json:"base_fen,omitempty" doc:"percent: the base when it is fixed, and while a price is not known, in fen."`
	FloorFen     Fen              `json:"floor_fen,omitempty" doc:"A lateness beyond the grace pays at least this, in fen."`
	CeilingFen   Fen              `json:"ceiling_fen,omitempty" doc:"And at most this, in fen; missing means no ceiling."`
}

// Tier pays Fen, or Pct percent of the base, for a lateness of more than OverS
// and at most UpToS seconds: exactly ten minutes late is still the tier that
// goes up to ten minutes.
type Tier struct {
	OverS int64  `json:"over_s" doc:"Later than this, in seconds."`
	UpToS *int64 `json:"up_to_s,omitempty" doc:"And at most this late, in seconds; missing in the last tier."`
	Fen   Fen    `json:"fen,omitempty" doc:"tiers: owed, in fen."`
	Pct   int    `json:"pct,omitempty" doc:"percent: owed, in percent of the base."`
}

// payment is an amount and how it came about.
type payment struct {
	fen      Fen
	tier     int   // number of the band, from 1; 0 without bands
	units    int64 // full minutes or started blocks
	base     Fen   // what the percentage was taken of
	computed Fen   // before floor and ceiling
}

// pay is the amount for a lateness beyond the grace. price is what the rescue
// costs, 0 while that is not known; fee is the provider's.
func (r CompensationRule) pay(late time.Duration, price, fee Fen) payment {
	var p payment
	switch r.Kind {
	case KindPerMinute:
		p.units = int64(late / time.Minute)
		p.fen = r.PerMinuteFen * Fen(p.units)
	case KindPerBlock:
		block := seconds(r.BlockS)
		p.units = int64((late + block - 1) / block)
		p.fen = r.PerBlockFen * Fen(p.units)
	case KindTiers:
		p.tier = r.band(late)
		p.fen = r.Tiers[p.tier-1].Fen
	case KindPercent:
		p.tier, p.base = r.band(late), r.baseOf(price, fee)
		p.fen = percent(p.base, r.Tiers[p.tier-1].Pct)
	}
	p.computed = p.fen
	p.fen = max(p.fen, r.FloorFen)
	if r.CeilingFen > 0 {
		p.fen = min(p.fen, r.CeilingFen)
	}
	return p
}

func (r CompensationRule) baseOf(price, fee Fen) Fen {
	switch {
	case r.Base == BaseServiceFee:
		return fee
	case r.Base == BasePrice && price > 0:
		return price
	}
	return r.BaseFen
}

// band is the number of the tier for a lateness, from 1. The last has no end.
func (r CompensationRule) band(late time.Duration) int {
	for i, t := range r.Tiers {
		if t.UpToS == nil || late <= seconds(*t.UpToS) {
			return i + 1
		}
	}
	return len(r.Tiers)
}

func (r CompensationRule) wrong(c *complaints, fee Fen) {
	const field = "compensation"
	c.oneOf(field+".kind", string(r.Kind), wordsOf([]CompensationKind{KindTiers, KindPerMinute, KindPerBlock, KindPercent}))
	// What belongs to another kind is refused: it would be read and never used.
	only := func(given bool, name string, kinds ...CompensationKind) {
		for _, k := range kinds {
			given = given && r.Kind != k
		}
		c.check(!given, field+"."+name, "unused", "does not belong to kind %s; remove it", r.Kind)
	}
	banded := r.Kind == KindTiers || r.Kind == KindPercent
	known := banded || r.Kind == KindPerMinute || r.Kind == KindPerBlock
	if known {
		only(len(r.Tiers) > 0, "tiers", KindTiers, KindPercent)
		only(r.PerMinuteFen != 0, "per_minute_fen", KindPerMinute)
		only(r.BlockS != 0, "block_s", KindPerBlock)
		only(r.PerBlockFen != 0, "per_block_fen", KindPerBlock)
		only(r.Base != "", "base", KindPercent)
		only(r.BaseFen != 0, "base_fen", KindPercent)
	}
	amount := func(fen Fen, name string, least Fen) {
		c.check(fen >= least && fen <= maxFen, field+"."+name, "range", "must be between %d and %d fen", least, maxFen)
	}
	amount(r.FloorFen, "floor_fen", 0)
	amount(r.CeilingFen, "ceiling_fen", 0)
	c.check(r.CeilingFen == 0 || r.FloorFen <= r.CeilingFen, field+".floor_fen", "range", "is above ceiling_fen (%d)", r.CeilingFen)
	switch r.Kind {
	case KindPerMinute:
		amount(r.PerMinuteFen, "per_minute_fen", 1)
	case KindPerBlock:
		amount(r.PerBlockFen, "per_block_fen", 1)
		c.check(r.BlockS >= 1 && r.BlockS <= maxSeconds, field+".block_s", "range", "must be between 1 and %d seconds", maxSeconds)
	case KindPercent:
		c.oneOf(field+".base", string(r.Base), wordsOf([]Base{BaseFixed, BaseServiceFee, BasePrice}))
		if r.Base == BaseServiceFee {
			c.check(fee > 0, "bearers.service_fee_fen", "required", "is missing; the compensation is a percentage of it")
			c.check(r.BaseFen == 0, field+".base_fen", "unused", "does not belong to base service_fee; remove it")
		} else {
			amount(r.BaseFen, "base_fen", 1)
		}
	}
	if banded || !known { // of an unknown kind the bands are checked for what they are
		r.wrongTiers(c, field)
	}
}

func (r CompensationRule) wrongTiers(c *complaints, field string) {
	if len(r.Tiers) == 0 {
		c.add(field+".tiers", "required", "is empty; say what lateness pays")
		return
	}
	var reached int64 // seconds covered so far
	for i, t := range r.Tiers {
		at := fmt.Sprintf("%s.tiers[%d]", field, i)
		last := i == len(r.Tiers)-1
		switch {
		case i == 0 && t.OverS != 0:
			c.add(at+".over_s", "gap", "must be 0: the first tier begins with the first microsecond of lateness")
		case i > 0 && t.OverS < reached:
			c.add(at+".over_s", "overlap", "overlaps tiers[%d], which goes up to %d s; it must be %d", i-1, reached, reached)
		case i > 0 && t.OverS > reached:
			c.add(at+".over_s", "gap", "leaves a gap after tiers[%d], which goes up to %d s; it must be %d", i-1, reached, reached)
		}
		switch {
		case t.UpToS == nil && !last:
			c.add(at+".up_to_s", "required", "is missing; only the last tier has no end")
			reached = t.OverS
		case t.UpToS == nil:
		case last:
			c.add(at+".up_to_s", "endless", "must be left out: the last tier has no end, or a longer wait would pay nothing")
		case *t.UpToS <= t.OverS || *t.UpToS > maxSeconds:
			c.add(at+".up_to_s", "range", "must be more than over_s (%d) and at most %d", t.OverS, maxSeconds)
			reached = t.OverS
		default:
			reached = *t.UpToS
		}
		c.check(t.Fen >= 0 && t.Fen <= maxFen, at+".fen", "range", "must be between 0 and %d fen", maxFen)
		c.check(t.Pct >= 0 && t.Pct <= 100, at+".pct", "range", "must be between 0 and 100")
		c.check(r.Kind != KindTiers || t.Pct == 0, at+".pct", "unused", "does not belong to kind %s; give fen", r.Kind)
		c.check(r.Kind != KindPercent || t.Fen == 0, at+".fen", "unused", "does not belong to kind %s; give pct", r.Kind)
		c.check(i == 0 || t.Fen >= r.Tiers[i-1].Fen, at+".fen", "falls", "is less than the tier before; a longer wait must not pay less")
		c.check(i == 0 || t.Pct >= r.Tiers[i-1].Pct, at+".pct", "falls", "is less than the tier before; a longer wait must not pay less")
	}
}

func (r PayRule) wrong(c *complaints, field string, may ...PayKind) {
	if r == (PayRule{}) {
		return
	}
	c.oneOf(field+".pays", string(r.Pays), wordsOf(may))
	wrongFixed(c, field+".fen", r.Pays, r.Fen)
}

// wrongFixed checks the amount that goes with fixed, and with nothing else.
func wrongFixed(c *complaints, field string, pays PayKind, fen Fen) {
	if pays == PayFixed {
		c.check(fen >= 1 && fen <= maxFen, field, "range", "must be between 1 and %d fen", maxFen)
	} else {
		c.check(fen == 0, field, "unused", "belongs to fixed only; remove it")
	}
}
