// Fills in the place from the phone, which speaks WGS-84.
'use strict';

const words = JSON.parse(document.getElementById('words').textContent);
const button = document.getElementById('locate');
const told = document.getElementById('located');
const form = document.getElementById('ask');

if (navigator.geolocation && window.isSecureContext) {
  button.hidden = false;
  button.addEventListener('click', () => {
    told.textContent = words.locating;
    navigator.geolocation.getCurrentPosition(
      (p) => {
        form.elements.lat.value = p.coords.latitude.toFixed(6);
        form.elements.lng.value = p.coords.longitude.toFixed(6);
        form.elements.datum.value = 'wgs84';
        form.elements.accuracy_m.value = Math.round(p.coords.accuracy);
        told.textContent = words.located.replace('{metres}', Math.round(p.coords.accuracy));
      },
      () => { told.textContent = words.not_located; },
      { enableHighAccuracy: true, timeout: 15000 },
    );
  });
}

// One press, one request: the key would catch a second, the owner need not wonder.
form.addEventListener('submit', () => { form.querySelector('button.main').disabled = true; });
