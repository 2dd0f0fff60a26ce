// Package bench measures Cyclops beside the tools that a user would otherwise take, in pairs and in
// one run. The measuring itself is a test with the tag "bench": make bench.
package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Row is one line of the table: pairs of figures for the same work.
type Row struct {
	Work    string
	Against string
	Unit    string // of the figures; "ms" unless said
	Aim     string // of the ratio, as the design has it
	Ours    []float64
	Theirs  []float64 // empty: nothing to compare with
}

// Table writes rows as Markdown.
func Table(rows []Row) string {
	var b strings.Builder
	b.WriteString("| work | Cyclops | against | it | ratio (quartiles) | aim | pairs |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		theirs, ratio := "", ""
		if len(r.Theirs) > 0 {
			theirs = r.figure(r.Theirs)
			ratios := r.ratios()
			ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", Quantile(ratios, 0.5), Quantile(ratios, 0.25), Quantile(ratios, 0.75))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d |\n", r.Work, r.figure(r.Ours), r.Against, theirs, ratio, r.Aim, len(r.Ours))
	}
	return b.String()
}

func (r Row) ratios() []float64 {
	ratios := make([]float64, 0, len(r.Ours))
	for i := range r.Ours {
		ratios = append(ratios, r.Ours[i]/r.Theirs[i])
	}
	return ratios
}

func (r Row) figure(values []float64) string {
	unit := r.Unit
	if unit == "" {
		unit = "ms"
	}
	v := Quantile(values, 0.5)
	if v >= 100 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}

// Quantile returns the value below which the share q of values lies, between neighbours by
// proportion. It panics without values.
func Quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (sorted[above]-sorted[below])*(at-float64(below))
}
