package sla_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/internal/fault"
	"rescued/sla"
)

func TestFenInWords(t *testing.T) {
	t.Parallel()
	for fen, text := range map[sla.Fen]string{
		0: "¥0.00", 1: "¥0.01", 2000: "¥20.00", 123456789: "¥1234567.89", -500: "-¥5.00", -1: "-¥0.01",
		math.MaxInt64: "¥92233720368547758.07", math.MinInt64: "-¥92233720368547758.08",
	} {
		require.Equal(t, text, fen.String())
	}
}

func TestFenIsReadAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fen := sla.Fen(rapid.Int64Range(-1e15, 1e15).Draw(t, "fen"))
		again, err := sla.ParseFen(fen.String())
		require.NoError(t, err)
		require.Equal(t, fen, again)
	})
	for _, bad := range []string{"", "20", "20.0", "20.000", "¥", "¥ 20.00", "20,00", "1e3.00", "--1.00", "9999999999999999.00"} {
		_, err := sla.ParseFen(bad)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", bad)
	}
}

func TestSumsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	sum, err := sla.Total(2000, 5000, -1000)
	require.NoError(t, err)
	require.Equal(t, sla.Fen(6000), sum)
	product, err := sla.Fen(-2000).Times(3)
	require.NoError(t, err)
	require.Equal(t, sla.Fen(-6000), product)

	_, err = sla.Fen(math.MaxInt64).Plus(1)
	require.ErrorIs(t, err, sla.ErrAmount)
	_, err = sla.Fen(math.MinInt64).Plus(-1)
	require.ErrorIs(t, err, sla.ErrAmount)
	_, err = sla.Fen(0).Minus(math.MinInt64)
	require.ErrorIs(t, err, sla.ErrAmount)
	_, err = sla.Fen(math.MinInt64).Times(-1)
	require.ErrorIs(t, err, sla.ErrAmount)
	_, err = sla.Fen(math.MaxInt64/2 + 1).Times(2)
	require.ErrorIs(t, err, sla.ErrAmount)
}
