package pack_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// drawPack writes a pack of random objects, some of them larger than a frame, and notes them in all.
func drawPack(t *rapid.T, all map[manifest.Sum][]byte) *pack.Reader {
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	sizes := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, 400_000), rapid.IntRange(1<<20, 5<<19))
	for range rapid.IntRange(0, 8).Draw(t, "objects") {
		data := content(rapid.Uint64Range(0, 20).Draw(t, "seed"), sizes.Draw(t, "size"))
		kind := rapid.SampledFrom([]pack.Kind{pack.Blob, pack.Tree}).Draw(t, "kind")
		sum := manifest.SumOf(data)
		if err := w.Add(kind, sum, int64(len(data)), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		all[sum] = data
	}
	return closed(t, w, &file)
}

func closed(t *rapid.T, w *pack.Writer, file *bytes.Buffer) *pack.Reader {
	if _, _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return verified(t, file)
}

func verified(t *rapid.T, file *bytes.Buffer) *pack.Reader {
	r, _, err := pack.Verify(t.Context(), bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMergeKeepsWhatIsLiveAndLittleElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := map[manifest.Sum][]byte{}
		var packs []*pack.Reader
		for range rapid.IntRange(0, 3).Draw(t, "packs") {
			packs = append(packs, drawPack(t, all))
		}
		live, bytesLive := map[manifest.Sum]bool{}, int64(0)
		share := rapid.IntRange(0, 4).Draw(t, "share")
		for sum, data := range all {
			if int(sum[0])%4 < share {
				live[sum] = true
				bytesLive += int64(len(data))
			}
		}
		var file bytes.Buffer
		if _, _, err := pack.Merge(t.Context(), &file, func(s manifest.Sum) bool { return live[s] }, packs...); err != nil {
			t.Fatal(err)
		}
		checkMerged(t, verified(t, &file), all, live, bytesLive)
	})
}

func checkMerged(t *rapid.T, r *pack.Reader, all map[manifest.Sum][]byte, live map[manifest.Sum]bool, bytesLive int64) {
	if r.Len() != len(live) || r.Raw() > 2*bytesLive {
		t.Errorf("%d objects instead of %d, %d bytes for %d live ones", r.Len(), len(live), r.Raw(), bytesLive)
	}
	for sum := range live {
		o, ok := r.Find(sum)
		data, err := r.ReadAll(o, o.Size)
		if !ok || err != nil || !bytes.Equal(data, all[sum]) {
			t.Errorf("live object %v: found %v, %v", sum, ok, err)
		}
	}
}

func TestMergeSaysThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	r, err := pack.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	everything := func(manifest.Sum) bool { return true }
	if _, _, err := pack.Merge(t.Context(), &full{left: 1000}, everything, r); err == nil {
		t.Error("no error")
	}
	scarce := func(s manifest.Sum) bool { return s[0] < 40 }
	if _, _, err := pack.Merge(t.Context(), &full{left: 1000}, scarce, r); err == nil {
		t.Error("no error")
	}
}

func TestMergeNoticesDamage(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	data[1000] ^= 1
	r, err := pack.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	scarce := func(s manifest.Sum) bool { return s[0] < 40 }
	_, _, err = pack.Merge(t.Context(), &file, scarce, r)
	if err == nil {
		err = verify(t, file.Bytes())
	}
	if !pack.IsFormat(err) {
		t.Errorf("damage in a frame goes unnoticed: %v", errors.Unwrap(err))
	}
}
