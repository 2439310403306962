package pages

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
)

// Both languages say everything: no field, key or column is missing in one.
func TestBothLanguagesSayEverything(t *testing.T) {
	t.Parallel()
	zh, en := reflect.ValueOf(texts["zh"]), reflect.ValueOf(texts["en"])
	for i := range zh.NumField() {
		name := zh.Type().Field(i).Name
		a, b := zh.Field(i), en.Field(i)
		switch a.Kind() {
		case reflect.String:
			require.NotEmpty(t, a.String(), "zh %s", name)
			require.NotEmpty(t, b.String(), "en %s", name)
		case reflect.Slice:
			require.Equal(t, a.Len(), b.Len(), name)
		case reflect.Map:
			require.ElementsMatch(t, keys(a), keys(b), name)
		}
	}
	for lang, text := range texts {
		for _, p := range dispatch.Problems() {
			require.NotEmpty(t, text.Problems[string(p)], "%s %s", lang, p)
		}
		for _, e := range dispatch.Energies() {
			require.NotEmpty(t, text.Energies[string(e)], "%s %s", lang, e)
		}
		for _, s := range dispatch.RequestLife.States() {
			require.NotEmpty(t, text.States[string(s)], "%s %s", lang, s)
		}
		for _, tier := range []dispatch.Tier{dispatch.TierBreached, dispatch.TierRisk10, dispatch.TierRisk20, dispatch.TierOK} {
			require.NotEmpty(t, text.Tiers[string(tier)], "%s %s", lang, tier)
			require.NotEmpty(t, shapes[string(tier)], tier)
		}
	}
}

func keys(m reflect.Value) (out []string) {
	for _, k := range m.MapKeys() {
		out = append(out, k.String())
	}
	slices.Sort(out)
	return out
}
