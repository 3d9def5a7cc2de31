// Where a view is: its address says everything that it depends on.
const GIVEN = DOC.given || {};
const addressName = (i) => (DOC.keys && DOC.keys[i]) || nameOf(i);

function pageAddress(page, given = {}) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries({ lam: GIVEN.lam, ...given })) {
    if (value !== undefined && value !== null && value !== "") words.set(name, value);
  }
  const text = words.toString();
  return text ? `/${page}?${text}` : `/${page}`;
}

// Of this page with some parameters changed; another view begins with its first rows
const addressWith = (changes) => pageAddress(DOC.page, { ...GIVEN, page: undefined, ...changes });
const go = (address) => location.assign(address);
const ask = (changes) => go(addressWith(changes));

// What changes nothing but the drawing: the address follows without another page
function remember(changes) {
  Object.assign(GIVEN, changes);
  history.replaceState(null, "", addressWith(changes));
}

const openAdapter = (i) => go(pageAddress("adapter", { name: addressName(i) }));
const openPair = (i, j) =>
  i === j ? openAdapter(i) : go(pageAddress("pair", { source: addressName(i), target: addressName(j) }));
const renderAll = () => {};
