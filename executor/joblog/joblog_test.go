//go:build linux

package joblog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const testID = "aaaaaaaaaaaaaaaa"

func newData(t testing.TB) layout.Data {
	t.Helper()
	return dataIn(t, t.TempDir())
}

func dataIn(t interface{ Fatal(...any) }, dir string) layout.Data {
	data := layout.Data(dir)
	if err := os.MkdirAll(data.Job(testID), 0o700); err != nil {
		t.Fatal(err)
	}
	return data
}

// piece is bytes that arrive on a stream.
type piece struct {
	stream uint8
	text   string
}

func write(t interface{ Fatal(...any) }, data layout.Data, pieces ...piece) (log, index File) {
	w, err := Create(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if err := w.Append(p.stream, []byte(p.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return w.Files()
}

func open(t interface {
	Fatal(...any)
}, data layout.Data) (*Reader, int64) {
	r, err := Open(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	size, err := r.Size()
	if err != nil {
		t.Fatal(err)
	}
	return r, size
}

func all(t *testing.T, r *Reader, size int64, stream uint8) string {
	t.Helper()
	var b strings.Builder
	if err := r.Copy(&b, size, stream); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		data := dataIn(rt, dir)
		var pieces []piece
		want := map[uint8]string{}
		for _, s := range rapid.SliceOfN(rapid.StringMatching(`[12][a-c\n]{0,40}`), 0, 60).Draw(rt, "pieces") {
			p := piece{s[0] - '0', s[1:]}
			pieces = append(pieces, p)
			want[p.stream] += p.text
			want[0] += p.text
		}
		log, index := write(rt, data, pieces...)
		r, size := open(rt, data)
		defer r.Close()
		buf := make([]byte, rapid.IntRange(1, 50).Draw(rt, "buffer"))
		for stream := range uint8(3) {
			if got := readAll(rt, r, size, stream, buf); got != want[stream] {
				rt.Fatalf("stream %d gives %q, want %q", stream, got, want[stream])
			}
		}
		if got := tailOf(want[1], 3); got != tailText(rt, r, size, 3, 1) {
			rt.Fatalf("the last 3 lines of stream 1 are %q, not %q", tailText(rt, r, size, 3, 1), got)
		}
		if got := tailOf(want[0], 2); got != tailText(rt, r, size, 2, 0) {
			rt.Fatalf("the last 2 lines are %q, not %q", tailText(rt, r, size, 2, 0), got)
		}
		log2, index2, err := Recover(data, testID)
		if err != nil || log2 != log || index2 != index {
			rt.Fatalf("a whole log was changed by recovery: %v", err)
		}
	})
}

func readAll(rt *rapid.T, r *Reader, size int64, stream uint8, buf []byte) string {
	var b strings.Builder
	for offset := int64(0); ; {
		c, next, err := r.Read(offset, size, stream, buf)
		if err == io.EOF {
			return b.String()
		}
		if err != nil || len(c.Data) == 0 || next <= offset || stream != 0 && c.Stream != stream {
			rt.Fatalf("chunk %+v, next %d: %v", c, next, err)
		}
		b.Write(c.Data)
		offset = next
	}
}

func tailText(rt *rapid.T, r *Reader, size int64, n int, stream uint8) string {
	at, err := r.OffsetOfTail(n, size, stream)
	if err != nil {
		rt.Fatal(err)
	}
	var b strings.Builder
	buf := make([]byte, 64)
	for {
		c, next, err := r.Read(at, size, stream, buf)
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			rt.Fatal(err)
		}
		b.Write(c.Data)
		at = next
	}
}

// tailOf is the slow and plain way to say what the last n lines are.
func tailOf(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func TestReadingWhileTheLogGrows(t *testing.T) {
	t.Parallel()
	data := newData(t)
	w, err := Create(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	sizes := make(chan int64, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(sizes)
		for i := range 5000 {
			if err := w.Append(uint8(1+i%2), fmt.Appendf(nil, "line %d\n", i)); err != nil {
				failed <- err
				return
			}
			select {
			case sizes <- w.Size():
			default:
			}
		}
		sizes <- w.Size()
	}()
	r, err := Open(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	buf := make([]byte, 1000)
	offset := int64(0)
	for size := range sizes {
		for offset < size {
			c, next, err := r.Read(offset, size, 0, buf)
			if err != nil || c.Stream == api.StreamUnknown {
				t.Fatalf("%+v at %d of %d: %v", c, offset, size, err)
			}
			got.Write(c.Data)
			offset = next
		}
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	want, err := os.ReadFile(data.Log(testID))
	if err != nil || !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%d bytes were read, %d written: %v", got.Len(), len(want), err)
	}
}

func TestOffsetSince(t *testing.T) {
	t.Parallel()
	data := newData(t)
	w, err := Create(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var middle time.Time
	for i := range 10 {
		if err := w.Append(1, []byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			middle = time.Unix(0, w.last+1)
			for !time.Now().After(middle) { // the next record must be later
			}
		}
	}
	r, size := open(t, data)
	defer r.Close()
	for _, c := range []struct {
		t    time.Time
		want int64
	}{{time.Unix(0, 0), 0}, {middle, 50}, {time.Now().Add(time.Hour), 100}} {
		if got, err := r.OffsetSince(c.t, size); got != c.want || err != nil {
			t.Errorf("since %v begins at %d, want %d: %v", c.t, got, c.want, err)
		}
	}
}

func TestRecoveryOfEveryCut(t *testing.T) {
	t.Parallel()
	base := newData(t)
	write(t, base, piece{1, "one\n"}, piece{2, "two\n"}, piece{1, "three\n"})
	log, err1 := os.ReadFile(base.Log(testID))
	idx, err2 := os.ReadFile(base.LogIndex(testID))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for l := range len(log) + 1 {
		for x := range len(idx) + 1 {
			data := dataIn(t, filepath.Join(t.TempDir(), fmt.Sprint(l, "-", x)))
			if err := errors.Join(os.WriteFile(data.Log(testID), log[:l], 0o600), os.WriteFile(data.LogIndex(testID), idx[:x], 0o600)); err != nil {
				t.Fatal(err)
			}
			f, _, err := Recover(data, testID)
			if err != nil || f.Size != int64(l) || f.Sum != manifest.SumOf(log[:l]) {
				t.Fatalf("log of %d, index of %d: %+v, %v", l, x, f, err)
			}
			r, size := open(t, data)
			if got := all(t, r, size, 0); got != string(log[:l]) {
				t.Fatalf("log of %d, index of %d reads %q", l, x, got)
			}
			c, _, err := r.Read(0, size, 0, make([]byte, 100))
			if described := x >= int(headerSize)+recordSize; l > 0 && (err != nil || (c.Stream == 1) != described) {
				t.Fatalf("log of %d, index of %d: first chunk %+v, %v", l, x, c, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamageInTheMiddleIsSaid(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var pieces []piece
	for range 10 {
		pieces = append(pieces, piece{1, "text\n"})
	}
	write(t, data, pieces...)
	f, err := os.OpenFile(data.LogIndex(testID), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("spoiled"), recordAt(3)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r, size := open(t, data)
	defer r.Close()
	if err := r.Copy(io.Discard, size, 0); api.KindOf(err) != api.Corrupt {
		t.Errorf("error is %v", err)
	}
}

func TestAnAppendThatFailsLeavesTheLogAsItWas(t *testing.T) {
	t.Parallel()
	data := newData(t)
	w, err := Create(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Append(1, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	good := w.log
	if w.log, err = os.OpenFile("/dev/full", os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(1, []byte("lost")); err == nil || w.Size() != 4 {
		t.Errorf("size %d, error %v", w.Size(), err)
	}
	if err := w.log.Close(); err != nil {
		t.Fatal(err)
	}
	w.log = good
	if err := w.Append(2, []byte("more")); err != nil {
		t.Fatal(err)
	}
	r, size := open(t, data)
	defer r.Close()
	if got := all(t, r, size, 0); got != "keptmore" {
		t.Errorf("log is %q", got)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte("some text\n"), record{length: 4, stream: 1}.append(nil))
	f.Add([]byte("x"), []byte{})
	f.Add([]byte("abcdefgh"), record{offset: 1 << 62, length: 1 << 31, stream: 2}.append(record{length: 1, stream: 1}.append(nil)))
	f.Fuzz(func(t *testing.T, log, records []byte) {
		data := newData(t)
		idx := append([]byte(indexMagic), records...)
		if err := errors.Join(os.WriteFile(data.Log(testID), log, 0o600), os.WriteFile(data.LogIndex(testID), idx, 0o600)); err != nil {
			t.Fatal(err)
		}
		r, size := open(t, data)
		defer r.Close()
		var b bytes.Buffer
		if err := r.Copy(&b, size, 0); err == nil && !bytes.Equal(b.Bytes(), log) {
			t.Fatalf("read %q of %q", b.Bytes(), log)
		}
		r.Copy(io.Discard, size, 2)
		r.OffsetOfTail(2, size, 1)
		r.OffsetSince(time.Unix(0, 5), size)
		Recover(data, testID)
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{80, 4096, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, err := Create(newData(b), testID)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			data := bytes.Repeat([]byte("x"), n)
			b.SetBytes(int64(n))
			for b.Loop() {
				if w.Size() > 2<<30 {
					w.size, w.idxSize = 0, 0
				}
				if err := w.Append(1, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{80, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := newData(b)
			w, err := Create(data, testID)
			if err != nil {
				b.Fatal(err)
			}
			piece := bytes.Repeat([]byte("x"), n)
			for range 16 << 20 / n {
				if err := w.Append(1, piece); err != nil {
					b.Fatal(err)
				}
			}
			r, size := open(b, data)
			defer r.Close()
			b.SetBytes(size)
			for b.Loop() {
				if err := r.Copy(io.Discard, size, 0); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// An index of a later version is neither read as if it were ours nor written over.
func TestAnIndexOfAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	data := layout.Data(t.TempDir())
	const id = "aaaaaaaaaaaaaaaa"
	if err := os.MkdirAll(data.Job(id), 0o700); err != nil {
		t.Fatal(err)
	}
	later, err := os.ReadFile("testdata/index-v2")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(data.Log(id), []byte("x"), 0o600), os.WriteFile(data.LogIndex(id), later, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(data, id); api.KindOf(err) != api.Incompatible || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("opened: %v", err)
	}
	var version *ErrVersion
	if _, _, err := Recover(data, id); !errors.As(err, &version) {
		t.Errorf("recovered: %v", err)
	}
	if _, err := Trim(data, id); !errors.As(err, &version) {
		t.Errorf("trimmed: %v", err)
	}
	if wrong, err := Check(t.Context(), data, id); !errors.As(err, &version) || len(wrong) > 0 {
		t.Errorf("checked: %v, %q", err, wrong)
	}
	if _, _, err := Remake(t.Context(), data, id); !errors.As(err, &version) {
		t.Errorf("made anew: %v", err)
	}
	if now, err := os.ReadFile(data.LogIndex(id)); err != nil || string(now) != string(later) {
		t.Errorf("it was written over: %v", err)
	}
}
