package dispatch

import "rescued/internal/web"

// page cuts a list that was read one item too long, and makes the cursor of
// the next page from the last item that stays.
func page[T, K any](kind string, found []T, limit int, key func(T) K) (items []T, next string) {
	if len(found) <= limit {
		return found, ""
	}
	found = found[:limit]
	return found, web.EncodeCursor(kind, key(found[limit-1]))
}

// mapped writes each item as it is shown.
func mapped[T, V any](items []T, show func(T) V) []V {
	out := make([]V, len(items))
	for i, item := range items {
		out[i] = show(item)
	}
	return out
}
