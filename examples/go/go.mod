module mnist

go 1.19
