package bench

import (
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.5, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 2, 3}, 0.5, 2.5},
		{[]float64{1, 2, 3, 4, 5}, 0.25, 2},
		{[]float64{1, 2}, 0.99, 1.99},
		{[]float64{1, 2}, 1, 2},
	} {
		if got := Quantile(c.values, c.q); got != c.want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
}

func TestTableTakesTheMedianOfRatiosNotTheRatioOfMedians(t *testing.T) {
	t.Parallel()
	table := Table([]Row{
		{Work: "w", Against: "a", Aim: "≤ 1", Ours: []float64{1, 10, 100}, Theirs: []float64{2, 5, 400}},
		{Work: "alone", Unit: "MiB", Ours: []float64{250}},
	})
	for _, want := range []string{"| w | 10 ms | a | 5 ms | 0.50 (0.38–1.25) | ≤ 1 | 3 |", "| alone | 250 MiB |  |  |  |  | 1 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}
