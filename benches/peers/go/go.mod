module seam.example/benches/go

go 1.19
