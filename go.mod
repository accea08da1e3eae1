module github.com/sluice-authz/sluice

go 1.26.0

require github.com/authzed/spicedb v1.56.0

replace github.com/docker/docker => github.com/docker/docker v28.0.0+incompatible
