package sla

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"rescued/internal/fault"
)

// Fen is an amount of money in whole fen, a hundredth of a yuan. Every amount
// of this package is one; there are no fractions and no floats.
type Fen int64

// ErrAmount means that a sum of money does not fit or cannot be read.
var ErrAmount = fault.New(fault.Unprocessable, "amount_out_of_range", "The amount is out of range.")

// String writes the amount as ¥20.00, negative ones as -¥20.00.
func (f Fen) String() string {
	sign, u := "", uint64(f)
	if f < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s¥%d.%02d", sign, u/100, u%100)
}

// Plus adds exactly; a sum that does not fit is ErrAmount.
func (f Fen) Plus(g Fen) (Fen, error) {
	sum := f + g
	if (g > 0 && sum < f) || (g < 0 && sum > f) {
		return 0, ErrAmount.Detailf("%d fen and %d fen together do not fit.", f, g)
	}
	return sum, nil
}

// Minus subtracts exactly; a difference that does not fit is ErrAmount.
func (f Fen) Minus(g Fen) (Fen, error) {
	if g == math.MinInt64 {
		return 0, ErrAmount.Detailf("%d fen cannot be taken away.", g)
	}
	return f.Plus(-g)
}

// Times multiplies exactly; a product that does not fit is ErrAmount.
func (f Fen) Times(n int64) (Fen, error) {
	product := int64(f) * n
	overflow := n != 0 && product/n != int64(f)
	if overflow || (n == -1 && f == math.MinInt64) {
		return 0, ErrAmount.Detailf("%d times %d fen does not fit.", n, f)
	}
	return Fen(product), nil
}

// Total adds exactly; a sum that does not fit is ErrAmount.
func Total(amounts ...Fen) (Fen, error) {
	var sum Fen
	for _, a := range amounts {
		var err error
		if sum, err = sum.Plus(a); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

var fenForm = regexp.MustCompile(`^(-?)¥?(\d{1,15})\.(\d\d)$`)

// ParseFen reads the written form, with or without the sign of the currency:
// ¥20.00, -¥5.00, 20.00. Two decimals are required, so that nobody has to
// guess whether 20 means yuan or fen.
func ParseFen(s string) (Fen, error) {
	m := fenForm.FindStringSubmatch(s)
	if m == nil {
		return 0, &fault.Error{
			Kind: fault.Invalid, Code: "invalid_amount",
			Detail: fmt.Sprintf("%.40q is not an amount; write it as ¥20.00.", s),
		}
	}
	n, err := strconv.ParseInt(m[1]+m[2]+m[3], 10, 64)
	if err != nil {
		return 0, ErrAmount.Because(err)
	}
	return Fen(n), nil
}
