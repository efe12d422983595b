-- The same through a PL/Proxy function.
\set customer random(1, 1000000000000)
SELECT proxy.nothing(:customer);
