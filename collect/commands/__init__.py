"""The commands of this package, one thin module each: parse, call one function, print."""
