package pack_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// lines is text that compresses about as well as source code.
var lines = sync.OnceValue(func() []byte {
	words := []string{"assign ", "wire ", "reg [31:0] ", "always @(posedge clk) ", "begin\n", "end\n", "data", "addr", " <= ", ";\n"}
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, 0, 1<<18)
	for len(out) < 1<<18-32 {
		out = append(out, words[r.IntN(len(words))]...)
		out = append(out, byte('a'+r.IntN(26)))
	}
	return out
})

// content returns n bytes, other ones for another seed.
func content(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 0, n+64)
	for len(out) < n {
		at := r.IntN(len(lines()) - 1000)
		out = append(out, lines()[at:at+50+r.IntN(900)]...)
		out = binary.LittleEndian.AppendUint32(out, r.Uint32())
	}
	return out[:n]
}

func add(t testing.TB, w *pack.Writer, kind pack.Kind, data []byte) manifest.Sum {
	t.Helper()
	sum := manifest.SumOf(data)
	if err := w.Add(kind, sum, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	want := map[manifest.Sum][]byte{}
	for i, size := range []int{0, 1, 100, pack.FrameSize - 101, 5 << 20, 3, 700_000, 700_000, pack.FrameSize} {
		data := content(uint64(i), size)
		kind := pack.Blob
		if i%2 == 1 {
			kind = pack.Tree
		}
		want[add(t, w, kind, data)] = data
	}
	sum, size, err := w.Close()
	if err != nil || size != int64(file.Len()) || sum != manifest.SumOf(file.Bytes()) {
		t.Fatalf("Close: %v, %d bytes, %v", sum, size, err)
	}
	r, got, err := pack.Verify(t.Context(), bytes.NewReader(file.Bytes()), size)
	if err != nil || got != sum {
		t.Fatalf("Verify: %v, %v", got, err)
	}
	for sum, data := range want {
		o, ok := r.Find(sum)
		if !ok {
			t.Fatalf("object of %d bytes is not found", len(data))
		}
		got, err := io.ReadAll(r.Reader(o))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("object of %d bytes reads as %d bytes, %v", len(data), len(got), err)
		}
	}
}
