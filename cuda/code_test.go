package cuda

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/cuda/kernels"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// loads counts the modules that are loaded and unloaded, and has the loading of one fail.
type loads struct {
	driver.Device
	mu   sync.Mutex
	held map[driver.Module]bool
	most int
	fail string // part of the text of the one that fails
}

func (l *loads) LoadModule(ptx string) (driver.Module, error) {
	if l.fail != "" && strings.Contains(ptx, l.fail) {
		return 0, &driver.Error{Call: "cuModuleLoadDataEx", Code: 218, Text: "refused"}
	}
	m, err := l.Device.LoadModule(ptx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[m] = true
	l.most = max(l.most, len(l.held))
	return m, err
}

func (l *loads) UnloadModule(m driver.Module) error {
	l.mu.Lock()
	delete(l.held, m)
	l.mu.Unlock()
	return l.Device.UnloadModule(m)
}

func counting(t *testing.T) (*Backend, *loads) {
	t.Helper()
	b, err := openOn(fake.New(fake.Options{}), 0)
	if err != nil {
		t.Fatal(err)
	}
	l := &loads{Device: b.dev, held: map[driver.Module]bool{}}
	b.dev, b.part = l, 1<<16
	return b, l
}

// Kernels that are prepared are loaded once, whoever asks for them meanwhile, and unloaded.
func TestPrepare(t *testing.T) {
	b, l := counting(t)
	b.Prepare()
	r := &rig{t: t, b: b}
	var err1, err2 error
	r.q, err1 = b.NewQueue()
	r.a, err2 = b.NewArena()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	x := r.a.Alloc(tensor.F32, 3, 5)
	r.q.Fill(2, x)
	for i, v := range f32s(r, x) {
		if v != 2 {
			t.Errorf("element %d = %g, want 2", i, v)
		}
	}
	if err := errors.Join(r.q.Close(), r.a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if want := len(usual) + 1; l.most != want || len(l.held) != 0 {
		t.Errorf("%d modules loaded, want %d; %d left", l.most, want, len(l.held))
	}
}

func TestPrepareFails(t *testing.T) {
	b, l := counting(t)
	l.fail = ".entry fill_f32"
	b.Prepare()
	if err := b.code.close(l); err != nil {
		t.Error(err)
	}
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := b.NewArena()
	q.Fill(1, a.Alloc(tensor.F32, 2, 2))
	if err := q.Sync(); err == nil || !strings.Contains(err.Error(), "cuda: kernels of map: cuModuleLoadDataEx: refused (CUDA error 218)") {
		t.Errorf("Sync = %v, want the driver's words about the kernels of map", err)
	}
	if err := errors.Join(q.Close(), a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}

func TestUsualFamilies(t *testing.T) {
	for _, name := range usual {
		if !slices.Contains(kernels.Families(), name) {
			t.Errorf("there is no family %s", name)
		}
	}
}
