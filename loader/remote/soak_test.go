package remote_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/saint-gnn/saint/loader/remote"
)

// soakTime is how long clients come and go: a second, or what SAINT_SOAK says (such as 10m).
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("SAINT_SOAK")
	if text == "" {
		return time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Clients read, stall, leave in the middle and break off; afterwards nothing is left of them.
func TestClientsComeAndGo(t *testing.T) {
	cfg := many(0)
	folder := ""
	if runtime.GOOS == "linux" {
		folder = t.TempDir()
	}
	sc := serverConfig(cfg)
	sc.SharedFolder, sc.IdleTimeout = folder, 500*time.Millisecond
	r := serve(t, sc)
	c := clientConfig(cfg, r.host)
	warm := open(t, c)
	expectAll(t, warm, cfg, 0, 3)
	warm.Close()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), soakTime(t))
	defer cancel()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for ctx.Err() == nil {
				visit(t, ctx, c, random, folder)
			}
		})
	}
	all.Wait()
	eventually(t, func() error {
		if st := r.Stats(); st.Streams != 0 || st.BatchBytes != 0 || st.Connections != 0 {
			return fmt.Errorf("%+v: streams, bytes or connections are left", st)
		}
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, %d before", n, before)
		}
		return nil
	})
	if folder != "" {
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("shared memory is left behind: %v, %v", left, err)
		}
	}
	t.Logf("%+v", r.Stats())
}

// visit is the life of one client.
func visit(t *testing.T, ctx context.Context, c remote.Config, random *rand.Rand, folder string) {
	if random.IntN(2) == 0 {
		c.SharedFolder = folder
	}
	own, breakOff := context.WithCancel(context.Background())
	defer breakOff()
	src, err := remote.Open(own, c)
	if err != nil {
		t.Error(err)
		return
	}
	defer src.Close()
	for range random.IntN(60) {
		b, err := src.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		b.Release()
	}
	switch random.IntN(3) {
	case 0:
		select {
		case <-time.After(time.Duration(random.IntN(800)) * time.Millisecond): // stall, perhaps for too long
		case <-ctx.Done():
		}
	case 1:
		breakOff()
	}
}

// A server that shares no memory serves clients that would like to, and the other way round.
func TestSharingIsNegotiated(t *testing.T) {
	cfg := many(5)
	for name, folders := range map[string][2]string{
		"server does not": {"", t.TempDir()}, "client does not": {t.TempDir(), ""}, "other folders": {t.TempDir(), t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			sc := serverConfig(cfg)
			sc.SharedFolder = folders[0]
			c := clientConfig(cfg, serve(t, sc).host)
			c.SharedFolder = folders[1]
			expectAll(t, open(t, c), cfg, 0, 5)
		})
	}
}

// Eight clients that want all they can get share fairly.
func TestFairness(t *testing.T) {
	if testing.Short() || os.Getenv("SAINT_SOAK") == "" {
		t.Skip("set SAINT_SOAK=10s to measure how clients share")
	}
	cfg := redditLike(t)
	cfg.Workers = 1
	r := serve(t, serverConfig(cfg))
	var got [8]int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all, warm sync.WaitGroup // all memory is there after some batches of each client
	warm.Add(len(got))
	begin := make(chan struct{})
	for k := range got {
		all.Go(func() {
			ready := sync.OnceFunc(warm.Done)
			defer ready()
			c := clientConfig(cfg, r.host)
			c.Meta.EdgeIDs = false
			src, err := remote.Open(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			defer src.Close()
			for i := 0; ; i++ {
				if i == 10 {
					ready()
					<-begin
				}
				b, err := src.Next(ctx)
				if err != nil {
					return
				}
				if i >= 10 {
					got[k] += batchBytes(b)
				}
				b.Release()
			}
		})
	}
	warm.Wait()
	close(begin)
	time.AfterFunc(soakTime(t), cancel)
	all.Wait()
	least, most := got[0], got[0]
	for _, n := range got {
		least, most = min(least, n), max(most, n)
	}
	st := r.Stats()
	t.Logf("bytes %v: most/least %.2f; streams waited %.1f s for samplers and %.1f s for clients", got, float64(most)/float64(least), st.WaitSeconds, st.SendSeconds)
	if float64(most) > 1.3*float64(least) {
		t.Errorf("clients got between %d and %d bytes, want a ratio of at most 1.3", least, most)
	}
}
