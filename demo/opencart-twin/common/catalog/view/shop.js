// The storefront's script: cart, zones by AJAX, and the steps of the checkout.
const at = selector => document.querySelector(selector);
const ask = (route, data) => fetch('index.php?route=' + route, data ? { method: 'POST', body: data } : {}).then(answer => answer.json());
const part = route => fetch('index.php?route=' + route).then(answer => answer.text());
const radios = (name, methods) => methods.map((m, i) => `<p><label><input type="radio" name="${name}" value="${m.code}"${i ? '' : ' checked'}> ${m.name}</label></p>`).join('');
const data = (...boxes) => {
  const form = new FormData();
  boxes.forEach(box => box.querySelectorAll('input, select').forEach(e => { if (e.type !== 'radio' || e.checked) form.append(e.name, e.value); }));
  return form;
};
const say = answer => { if (answer.error) { at('#alert').innerHTML = '<div class="alert alert-danger">' + Object.values(answer.error).join(' ') + '</div>'; } return !answer.error; };
const placed = async () => { location = (await ask('checkout/confirm.order', new FormData())).redirect; };
document.addEventListener('click', event => { if (event.target.id === 'button-confirm') placed(); });

if (at('#button-cart')) {
  at('#button-cart').onclick = async () => {
    const answer = await ask('checkout/cart.add', data(at('#product')));
    if (say(answer)) at('#alert').innerHTML = `<div class="alert alert-success">${answer.success}</div>`;
  };
}

function twinCheckout(generation) {
  const prefix = generation === 4 ? '#input-shipping-' : '#input-payment-';
  at(prefix + 'country').onchange = async event => {
    const answer = await ask('localisation/country&country_id=' + event.target.value);
    at(prefix + 'zone').innerHTML = '<option value=""> --- Please Select --- </option>' + answer.zone.map(z => `<option value="${z.zone_id}">${z.name}</option>`).join('');
  };
  if (generation === 4) {
    at('#button-register').onclick = async () => {
      if (say(await ask('checkout/register.save', data(at('#form-register'))))) at('#alert').innerHTML = '<div class="alert alert-success">Your address is saved</div>';
    };
    const choose = (route, name) => {
      at(`#button-${name}-methods`).onclick = async () => {
        const modal = document.createElement('div');
        modal.id = `modal-${name}`;
        modal.innerHTML = radios(`${name}_method`, (await ask(route)).methods) + `<button type="button" id="button-${name}-method">Continue</button>`;
        document.body.append(modal);
        at(`#button-${name}-method`).onclick = async () => {
          const picked = at(`input[name=${name}_method]:checked`);
          at(`#input-${name}-method`).value = picked.parentNode.textContent.trim();
          modal.remove();
          if (name === 'payment') at('#checkout-confirm').innerHTML = await part('checkout/confirm.confirm');
        };
      };
    };
    choose('checkout/shipping_method.quote', 'shipping');
    choose('checkout/payment_method.getMethods', 'payment');
    return;
  }
  const show = id => { at(id).hidden = false; };
  at('#button-account').onclick = () => show('#collapse-payment-address');
  at('#button-guest').onclick = async () => {
    if (!say(await ask('checkout/guest/save', data(at('#collapse-payment-address'))))) return;
    const box = at('#collapse-shipping-method');
    box.innerHTML = radios('shipping_method', (await ask('checkout/shipping_method.quote')).methods) + '<button type="button" id="button-shipping-method">Continue</button>';
    at('#button-shipping-method').onclick = async () => {
      const pay = at('#collapse-payment-method');
      pay.innerHTML = radios('payment_method', (await ask('checkout/payment_method.getMethods')).methods) + at('#agree').innerHTML + '<button type="button" id="button-payment-method">Continue</button>';
      at('#button-payment-method').onclick = async () => {
        if (!at('input[name=agree]').checked) return say({ error: ['You must agree to the Terms!'] });
        at('#collapse-checkout-confirm').innerHTML = await part('checkout/confirm');
        show('#collapse-checkout-confirm');
      };
      show('#collapse-payment-method');
    };
    show('#collapse-shipping-method');
  };
}
