"use strict";
// The clone's page: it sends the filters to the API and shows the places that come back. All texts of records are set as
// text, never as markup.

const api = document.documentElement.dataset.root + "api/v1/";
const at = (id) => document.getElementById(id);
const names = new Map();  // of users, by id: each is fetched once
let places = [], latest = 0;

async function fetchJson(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(api + path, options);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || "status " + answer.status);
  return answer.json();
}

function element(name, text, children = []) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

const checked = (name) => [...document.querySelectorAll(`#filters input[name="${name}"]:checked`)];
const counted = (number, word) => number + " " + word + (number === 1 ? "" : "s");

function showFilters() {
  const said = (inputs, otherwise) => inputs.map((input) => input.dataset.name).join(", ") || otherwise;
  at("where").textContent = said([...checked("states"), ...checked("cities")], "anywhere");
  at("what").textContent = said(checked("amenities"), "any");
}

async function nameOf(user) {
  if (!names.has(user)) {
    names.set(user, fetchJson("users/" + user).then((found) =>
      [found.first_name, found.last_name].filter(Boolean).join(" ") || "A guest"));
  }
  return names.get(user);
}

// What belongs to a place is fetched when somebody wants to see it.
async function fillMore(card, place) {
  const more = card.querySelector(".more");
  try {
    const [amenities, reviews] = await Promise.all(
      ["amenities", "reviews"].map((what) => fetchJson(`places/${place.id}/${what}`)));
    const lines = await Promise.all(reviews.map(async (review) =>
      element("li", "", [element("b", await nameOf(review.user_id)), element("span", review.text)])));
    more.querySelector(".amenities").replaceChildren(...amenities.map((amenity) => element("li", amenity.name)));
    more.querySelector(".reviews").replaceChildren(...lines);
  } catch (error) {
    more.querySelector(".reviews").replaceChildren(element("li", "This could not be loaded: " + error.message));
  }
}

function cardOf(place) {
  const card = at("card").content.firstElementChild.cloneNode(true);
  const set = (selector, text) => { card.querySelector(selector).textContent = text; };
  card.classList.add("tint" + parseInt(place.id.slice(0, 4), 16) % 5);
  set(".place", `${place.city}, ${place.state}`);
  set("h2", place.name);
  card.querySelector(".price").replaceChildren("$" + place.price_by_night, element("small", " a night"));
  card.querySelector(".facts").replaceChildren(...[
    counted(place.max_guest, "guest"), counted(place.number_rooms, "room"), counted(place.number_bathrooms, "bathroom"),
  ].map((fact) => element("li", fact)));
  set(".description", place.description || "");
  set(".owner", place.owner ? "Host: " + place.owner : "");
  set(".more summary", place.reviews ? "Amenities and " + counted(place.reviews, "review") : "Amenities");
  card.querySelector(".more").addEventListener("toggle", () => fillMore(card, place), {once: true});
  return card;
}

const orders = {
  name: (a, b) => a.name.localeCompare(b.name),
  price: (a, b) => a.price_by_night - b.price_by_night,
  guests: (a, b) => b.max_guest - a.max_guest,
  reviews: (a, b) => b.reviews - a.reviews,
};

function show() {
  const sorted = [...places].sort((a, b) => orders[at("sort").value](a, b) || orders.name(a, b));
  at("count").textContent = counted(places.length, "place");
  at("cards").replaceChildren(...sorted.map(cardOf));
  at("results").setAttribute("aria-busy", "false");
}

function note(text, bad) {
  at("note").hidden = !text;
  at("note").textContent = text;
  at("note").classList.toggle("bad", bad);
  at("status").className = "status " + (bad ? "down" : "up");
  at("status").textContent = bad ? "no answer" : "open";
}

async function search() {
  const own = ++latest;  // an answer that has been overtaken is not shown
  at("results").setAttribute("aria-busy", "true");
  showFilters();
  const ids = (name) => checked(name).map((input) => input.value);
  try {
    const found = await fetchJson("places_search", {states: ids("states"), cities: ids("cities"), amenities: ids("amenities")});
    if (own !== latest) return;
    places = found;
    note(places.length ? "" : "Nothing matches. Choose more places, or fewer amenities.", false);
  } catch (error) {
    if (own !== latest) return;
    places = [];
    note("The places could not be loaded: " + error.message + ". Search again in a moment.", true);
  }
  show();
}

at("filters").addEventListener("submit", (event) => { event.preventDefault(); search(); });
at("filters").addEventListener("change", search);
at("filters").addEventListener("reset", () => setTimeout(search));
at("sort").addEventListener("change", show);
if (window.matchMedia("(max-width: 760px)").matches) {
  document.querySelectorAll(".filter").forEach((filter) => { filter.open = false; });
}
search();
