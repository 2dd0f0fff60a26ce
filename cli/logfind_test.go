package cli

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
)

// pagesOf returns the log that chunks make, a page of most bytes at a time.
func pagesOf(chunks []api.LogChunk, most int) func(from int64, size int) ([]api.LogChunk, error) {
	return func(from int64, _ int) (page []api.LogChunk, _ error) {
		left := most
		for _, c := range chunks {
			if endOf(c) <= from || left == 0 {
				continue
			}
			c.Data = c.Data[max(0, from-c.Offset):]
			c.Data = c.Data[:min(left, len(c.Data))]
			c.Offset = max(c.Offset, from)
			left -= len(c.Data)
			page = append(page, c)
		}
		return page, nil
	}
}

func chunksOf(parts ...string) (chunks []api.LogChunk) {
	at := int64(0)
	for i, p := range parts { // by turns
		chunks = append(chunks, api.LogChunk{Offset: at, Stream: api.Stdout + uint8(i%2), Data: []byte(p)})
		at += int64(len(p))
	}
	return chunks
}

// A line is whole whatever the pages, and once however often the host tells it.
func TestFoundLinesStandAsInTheLog(t *testing.T) {
	t.Parallel()
	log := chunksOf("one\npar", "ERR\n", "long "+strings.Repeat("x", 100)+" x\r\nlast x")
	hits := []api.LogHit{{Offset: 4, At: 4}, {Offset: 11, At: 16}, {Offset: 11, At: 117}, {Offset: 122, At: 125}} // the last one's beginning is too far for the host
	long := "long " + strings.Repeat("x", 100) + " x\r\n"
	for stream, want := range map[string]string{"": "parERR\n" + long + "last x\n", "stdout": "par\n" + long + "last x\n"} {
		for _, most := range []int{1, 7, 1000} {
			var out bytes.Buffer
			l := &foundLines{page: pagesOf(log, most), out: bufio.NewWriter(&out), stream: stream}
			asked := 0
			err := l.all(remote.LogSearch{}, func(s remote.LogSearch) (api.LogFound, error) {
				asked++
				if asked == 1 {
					return api.LogFound{Hits: hits[:2], Next: 100, Size: 126}, nil
				}
				if s.From != 120 {
					t.Errorf("the search goes on at %d", s.From)
				}
				return api.LogFound{Hits: hits[2:], Next: 126, Size: 126, Done: true}, nil
			})
			if err != nil || out.String() != want || l.count != 3 {
				t.Errorf("stream %q, pages of %d: %v, %d lines: %q", stream, most, err, l.count, out.String())
			}
		}
	}
}

func TestASearchThatStandsStillIsAnError(t *testing.T) {
	t.Parallel()
	l := &foundLines{out: bufio.NewWriter(new(bytes.Buffer))}
	err := l.all(remote.LogSearch{}, func(remote.LogSearch) (api.LogFound, error) { return api.LogFound{Size: 10}, nil })
	if api.KindOf(err) != api.Internal {
		t.Errorf("got %v", err)
	}
}
