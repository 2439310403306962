package local

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
	} {
		major, err := parseMajor(text)
		require.NoError(t, err)
		require.Equal(t, want, major)
	}
	_, err := parseMajor("psql 15")
	require.Error(t, err)
}

func TestChooseTheVersionOfTheData(t *testing.T) {
	t.Parallel()
	found := []install{{"/17", 17}, {"/15", 15}, {"/12", 12}}
	require.Equal(t, "/17", choose(found, 0), "new data: the newest")
	require.Equal(t, "/15", choose(found, 15))
	require.Empty(t, choose(found, 16))
	require.Empty(t, choose(found[2:], 0), "too old for new data")
}
