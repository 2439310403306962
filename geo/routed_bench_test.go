package geo

import "testing"

// BenchmarkRoutedKept is a decision over 200 crews whose shortlist is in the cache.
func BenchmarkRoutedKept(b *testing.B) {
	r, _ := routedOver(b, twice, nil)
	from, car := queue(200)
	for b.Loop() {
		if _, err := r.Refine(b.Context(), from, car, UrbanRoad, 12); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpeedsTime is one drive timed by what 5,000 have taught.
func BenchmarkSpeedsTime(b *testing.B) {
	book := newBook(b)
	for k := range 5000 {
		book.Learn(driveOfRatio(b, Offset(futian, float64(k%50)*500, float64(k%70)*500), UrbanRoad, k, 1+float64(k%7)/10))
	}
	speeds := book.Speeds()
	for b.Loop() {
		speeds.Time(futian, luohu, UrbanRoad, 8)
	}
}
