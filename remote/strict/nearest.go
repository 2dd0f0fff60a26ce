package strict

import "strings"

// Nearest returns the candidate that word was most likely meant to be, or "" when none is near.
func Nearest(word string, candidates []string) string {
	best, at := "", len(word)/3+2
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			rows[i][j] = cell(rows, a, b, i, j)
		}
	}
	return rows[len(a)][len(b)]
}

func cell(rows [][]int, a, b string, i, j int) int {
	if a[i-1] == b[j-1] {
		return rows[i-1][j-1]
	}
	d := 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
	if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
		d = min(d, rows[i-2][j-2]+1)
	}
	return d
}
