package dry

import "github.com/saint-gnn/saint/cuda/internal/driver"

// The methods of this file do nothing.

// Sync does nothing.
func (*Device) Sync() error { return nil }

// Close does nothing.
func (*Device) Close() error { return nil }

// UnloadModule does nothing.
func (*Device) UnloadModule(driver.Module) error { return nil }

// SetMaxDynamicShared does nothing.
func (*Device) SetMaxDynamicShared(driver.Function, int) error { return nil }

// Launch does nothing.
func (*Device) Launch(driver.Function, driver.Geometry, driver.Stream, []uint64) error { return nil }

// Free does nothing.
func (*Device) Free(driver.Ptr) error { return nil }

// FreeAsync does nothing.
func (*Device) FreeAsync(driver.Ptr, driver.Stream) error { return nil }

// FreeHost does nothing.
func (*Device) FreeHost([]byte) error { return nil }

// Upload does nothing.
func (*Device) Upload(driver.Ptr, []byte, driver.Stream) error { return nil }

// Download does nothing.
func (*Device) Download([]byte, driver.Ptr, driver.Stream) error { return nil }

// Copy does nothing.
func (*Device) Copy(_, _ driver.Ptr, _ int64, _ driver.Stream) error { return nil }

// Set8 does nothing.
func (*Device) Set8(driver.Ptr, uint8, int64, driver.Stream) error { return nil }

// Set32 does nothing.
func (*Device) Set32(driver.Ptr, uint32, int64, driver.Stream) error { return nil }

// DestroyStream does nothing.
func (*Device) DestroyStream(driver.Stream) error { return nil }

// SyncStream does nothing.
func (*Device) SyncStream(driver.Stream) error { return nil }

// DestroyEvent does nothing.
func (*Device) DestroyEvent(driver.Event) error { return nil }

// Record does nothing.
func (*Device) Record(driver.Event, driver.Stream) error { return nil }

// Wait does nothing.
func (*Device) Wait(driver.Stream, driver.Event) error { return nil }

// SyncEvent does nothing.
func (*Device) SyncEvent(driver.Event) error { return nil }

// BeginCapture does nothing.
func (*Device) BeginCapture(driver.Stream) error { return nil }

// LaunchGraph does nothing.
func (*Device) LaunchGraph(driver.Executable, driver.Stream) error { return nil }

// DestroyGraph does nothing.
func (*Device) DestroyGraph(driver.Graph) error { return nil }

// DestroyExecutable does nothing.
func (*Device) DestroyExecutable(driver.Executable) error { return nil }
