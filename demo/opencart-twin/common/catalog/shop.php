<?php
// The storefront. Selectors, routes and the order of the checkout are those of docs/opencart.md; everything else is as small as can be.
class TwinShop
{
    const OF = '%VERSION%';

    private $db;
    private $request;
    private $settings = array();
    private $session = array();
    private $id = '';
    private $four;

    public function __construct($db, $request)
    {
        $this->db = $db;
        $this->request = $request;
        $this->four = VERSION[0] === '4';
        foreach ($this->rows('SELECT `key`, `value` FROM `%setting` WHERE store_id = 0') as $row) { $this->settings[$row['key']] = $row['value']; }
        TwinLog::$file = $this->settings['config_error_filename'];
        TwinLog::$on = !empty($this->settings['config_error_log']);
        $this->id = isset($_COOKIE['OCSESSID']) && preg_match('/^[a-f0-9]{26}$/', $_COOKIE['OCSESSID']) ? $_COOKIE['OCSESSID'] : bin2hex(random_bytes(13));
        setcookie('OCSESSID', $this->id, 0, '/');
        $row = $this->rows("SELECT data FROM `%session` WHERE session_id = '$this->id'");
        $this->session = $row ? json_decode($row[0]['data'], true) : array();
    }

    public function serve($route)
    {
        // A compiled copy of the old release under the new one: anything may happen in OpenCart, this does here.
        if (VERSION !== self::OF) { TwinLog::write('PHP Fatal error: code of ' . self::OF . ' under ' . VERSION); http_response_code(500); exit; }
        if (!empty($this->settings['config_maintenance'])) {
            http_response_code(503);
            header('Retry-After: 3600');
            return $this->page('Maintenance', '<h1>We are currently performing some scheduled maintenance.</h1>');
        }
        $routes = array(
            'common/home' => 'home', 'product/category' => 'category', 'product/product' => 'product', 'checkout/cart' => 'cart',
            'checkout/checkout' => 'checkout', 'checkout/success' => 'success', 'information/contact' => 'contact',
            'checkout/cart.add' => 'add', 'checkout/cart/add' => 'add', 'localisation/country' => 'zones', 'checkout/register.save' => 'register',
            'checkout/guest/save' => 'register', 'checkout/shipping_method.quote' => 'shipping', 'checkout/payment_method.getMethods' => 'payment',
            'checkout/confirm.confirm' => 'confirm', 'checkout/confirm' => 'confirm', 'checkout/confirm.order' => 'order',
        );
        if (!isset($routes[$route])) {
            http_response_code(404);
            return $this->page('The page you requested cannot be found!', '<h1>The page you requested cannot be found!</h1>');
        }
        $method = $routes[$route];
        $this->$method();
        $data = $this->db->escape(json_encode($this->session));
        $this->db->query("REPLACE INTO `" . DB_PREFIX . "session` SET session_id = '$this->id', data = '$data', expire = DATE_ADD(NOW(), INTERVAL 1 DAY)");
    }

    // --------------------------------------------------------------------------------------------- small things

    private function rows($sql) { return $this->db->query(str_replace('`%', '`' . DB_PREFIX, $sql))->rows; }
    private function get($name) { return isset($this->request->get[$name]) ? (string) $this->request->get[$name] : ''; }
    private function post($name) { return isset($this->request->post[$name]) && is_string($this->request->post[$name]) ? $this->request->post[$name] : ''; }
    private function url($route, $more = '') { return HTTP_SERVER . "index.php?route=$route" . ($more ? "&amp;$more" : ''); }
    private function money($value) { return '$' . number_format((float) $value, 2); }
    private function json($value) { header('Content-Type: application/json'); echo json_encode($value); }

    private function page($title, $content, $script = '')
    {
        $name = htmlspecialchars(isset($this->settings['config_name']) ? $this->settings['config_name'] : '');
        $menu = '';
        foreach ($this->rows('SELECT c.category_id id, d.name FROM `%category` c JOIN `%category_description` d USING (category_id) WHERE c.status = 1 ORDER BY 1') as $row) {
            $menu .= '<a href="' . $this->url('product/category', "path=$row[id]") . "\">$row[name]</a> ";
        }
        $head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>' . $title . '</title>';
        echo "<!DOCTYPE html><html lang=\"en\"><head>$head<link rel=\"stylesheet\" href=\"" . HTTP_SERVER . 'catalog/view/shop.css"></head><body>'
            . "<header><a href=\"" . $this->url('common/home') . "\">$name</a> <nav id=\"menu\">$menu<a href=\"" . $this->url('checkout/cart') . '">Shopping Cart</a> '
            . '<a href="' . $this->url('information/contact') . "\">Contact Us</a></nav></header><div id=\"alert\"></div><main id=\"content\">$content</main>"
            . '<script src="' . HTTP_SERVER . "catalog/view/shop.js\"></script>$script</body></html>";
    }

    private function products($where)
    {
        $sql = 'SELECT p.*, d.name FROM `%product` p JOIN `%product_description` d USING (product_id)';
        return $this->rows("$sql WHERE p.status = 1 AND $where ORDER BY p.product_id");
    }

    private function thumbs($where)
    {
        $html = '<div class="row">';
        foreach ($this->products($where) as $row) {
            $html .= '<div class="product-thumb"><h4><a href="' . $this->url('product/product', "product_id=$row[product_id]") . "\">$row[name]</a></h4>"
                . '<div class="price"><span class="price-new">' . $this->money($row['price']) . '</span></div></div>';
        }
        return "$html</div>";
    }

    private function lines()
    {
        $lines = array();
        foreach (isset($this->session['cart']) ? $this->session['cart'] : array() as $key => $line) {
            $product = $this->products('p.product_id = ' . (int) $line['product_id']);
            if (!$product) { continue; }
            $option = $this->rows('SELECT * FROM `%product_option_value` WHERE product_option_value_id = ' . (int) $line['option']);
            $price = $product[0]['price'] + ($option ? $option[0]['price'] : 0);
            $lines[$key] = array('product' => $product[0], 'quantity' => $line['quantity'], 'option' => $option ? $option[0]['name'] : '', 'price' => $price);
        }
        return $lines;
    }

    private function totals($shipping)
    {
        $sub = 0;
        foreach ($this->lines() as $line) { $sub += $line['price'] * $line['quantity']; }
        $totals = array(array('sub_total', 'Sub-Total', $sub));
        if ($shipping) { $totals[] = array('shipping', 'Flat Shipping Rate', 5); }
        $totals[] = array('total', 'Total', $sub + ($shipping ? 5 : 0));
        return $totals;
    }

    private function table($shipping, $id)
    {
        $html = '<table class="table table-bordered"><tbody>';
        foreach ($this->lines() as $line) {
            $html .= "<tr><td>{$line['product']['name']} {$line['option']}</td><td>$line[quantity]</td><td>" . $this->money($line['price']) . '</td></tr>';
        }
        $totals = '';
        foreach ($this->totals($shipping) as $total) { $totals .= "<tr><td><strong>$total[1]</strong></td><td></td><td>" . $this->money($total[2]) . '</td></tr>'; }
        if ($id === 'cart' && !$this->four) { return "$html</tbody></table><div class=\"col-sm-4 col-sm-offset-8\"><table class=\"table table-bordered\">$totals</table></div>"; }
        return "$html</tbody><tfoot" . ($id === 'cart' ? ' id="checkout-total"' : '') . ">$totals</tfoot></table>";
    }

    // --------------------------------------------------------------------------------------------------- pages

    private function home() { $this->page($this->settings['config_name'], '<h1>Featured</h1>' . $this->thumbs('1') . $this->extensions('home')); }

    private function category()
    {
        $id = (int) $this->get('path');
        $row = $this->rows("SELECT name FROM `%category_description` WHERE category_id = $id");
        if (!$row) { http_response_code(404); return $this->page('Category not found!', '<h1>Category not found!</h1>'); }
        $this->page($row[0]['name'], "<h1>{$row[0]['name']}</h1>" . (isset($this->settings['theme_default_product_limit']) ? "<p>Show: {$this->settings['theme_default_product_limit']}</p>" : '') . $this->thumbs("p.product_id IN (SELECT product_id FROM `" . DB_PREFIX . "product_to_category` WHERE category_id = $id)"));
    }

    private function product()
    {
        $found = $this->products('p.product_id = ' . (int) $this->get('product_id'));
        if (!$found) { http_response_code(404); return $this->page('Product not found!', '<h1>Product not found!</h1>'); }
        $row = $found[0];
        $options = '';
        foreach ($this->rows("SELECT * FROM `%product_option_value` WHERE product_id = $row[product_id] ORDER BY 1") as $value) {
            $options .= "<div class=\"radio\"><label><input type=\"radio\" name=\"option[1]\" value=\"$value[product_option_value_id]\"> $value[name]" . ($value['price'] > 0 ? ' (+' . $this->money($value['price']) . ')' : '') . '</label></div>';
        }
        $stock = $row['quantity'] > 0 ? 'In Stock' : 'Out Of Stock';
        $html = "<h1>$row[name]</h1><ul class=\"list-unstyled\"><li>Product Code: $row[model]</li><li>SKU: " . $this->sku($row) . "</li><li class=\"stock\">Availability: $stock</li></ul>"
            . '<ul class="list-unstyled"><li><h2><span class="price-new">' . $this->money($row['price']) . '</span></h2></li></ul><!-- after the price -->' . $this->extensions('product')
            . "<div id=\"product\">" . ($options ? "<div class=\"form-group required\">$options</div>" : '')
            . "<form id=\"form-product\"><input type=\"hidden\" name=\"product_id\" value=\"$row[product_id]\"><input name=\"quantity\" value=\"1\" size=\"2\" id=\"input-quantity\">"
            . '<button type="button" id="button-cart">Add to Cart</button></form></div>';
        $this->page($row['name'], $html);
    }

    private function cart() { $this->page('Shopping Cart', '<h1>Shopping Cart</h1>' . ($this->lines() ? $this->table(false, 'cart') . '<a class="btn btn-primary" href="' . $this->url('checkout/checkout') . '">Checkout</a>' : '<p>Your shopping cart is empty!</p>')); }

    private function contact() { $this->page('Contact Us', '<h1>Contact Us</h1><p>12 Market Street, every day from nine to six. We answer letters within a day.</p>'); }

    private function success() { $this->page('Your order has been placed!', '<div id="common-success"><h1>Your order has been placed!</h1><p>Your order has been successfully processed.</p></div>'); }

    private function checkout()
    {
        if (!$this->lines()) { header('Location: ' . str_replace('&amp;', '&', $this->url('checkout/cart'))); return; }
        $countries = '<option value=""> --- Please Select --- </option>';
        foreach ($this->countries() as $row) { $countries .= "<option value=\"$row[country_id]\">$row[name]</option>"; }
        $agree = '<div class="text"><label>I have read and agree to the Terms <input type="checkbox" name="agree" value="1"></label></div>';
        if ($this->four) {
            $field = function ($name, $label) { return "<label>$label <input id=\"input-" . str_replace('_', '-', $name) . "\" name=\"$name\"></label>"; };
            $html = '<h1>Checkout</h1><form id="form-register"><label><input type="radio" name="account" id="input-register" value="1" checked> Register</label><label><input type="radio" name="account" id="input-guest" value="0"> Guest</label>'
                . $field('firstname', 'First Name') . $field('lastname', 'Last Name') . $field('email', 'E-Mail') . $field('shipping_address_1', 'Address 1') . $field('shipping_city', 'City') . $field('shipping_postcode', 'Post Code')
                . "<label>Country <select id=\"input-shipping-country\" name=\"shipping_country_id\">$countries</select></label><label>Region <select id=\"input-shipping-zone\" name=\"shipping_zone_id\"></select></label>"
                . '<button type="button" id="button-register">Continue</button></form>'
                . '<fieldset><input type="text" name="shipping_method" readonly id="input-shipping-method"><button type="button" id="button-shipping-methods">Choose</button></fieldset><fieldset><input type="text" name="payment_method" readonly id="input-payment-method"><button type="button" id="button-payment-methods">Choose</button></fieldset>'
                . '<div id="checkout-confirm">' . $this->table(false, 'confirm') . '<button type="button" disabled>Confirm Order</button></div>';
        } else {
            $field = function ($name, $label) { return "<label>$label <input id=\"input-payment-" . str_replace('_', '-', $name) . "\" name=\"$name\"></label>"; };
            $html = '<h1>Checkout</h1><div id="collapse-checkout-option"><label><input type="radio" name="account" value="register" checked> Register Account</label><label><input type="radio" name="account" value="guest"> Guest Checkout</label><button type="button" id="button-account">Continue</button></div>'
                . '<div id="collapse-payment-address" hidden>' . $field('firstname', 'First Name') . $field('lastname', 'Last Name') . $field('email', 'E-Mail') . $field('telephone', 'Telephone') . $field('address_1', 'Address 1') . $field('city', 'City') . $field('postcode', 'Post Code')
                . "<label>Country <select id=\"input-payment-country\" name=\"country_id\">$countries</select></label><label>Region <select id=\"input-payment-zone\" name=\"zone_id\"></select></label><button type=\"button\" id=\"button-guest\">Continue</button></div>"
                . '<div id="collapse-shipping-method" hidden></div><div id="collapse-payment-method" hidden></div><div id="collapse-checkout-confirm" hidden></div>';
        }
        $this->page('Checkout', $html . '<template id="agree">' . ($this->four ? '' : $agree) . '</template>' . $this->extensions('checkout'), '<script>twinCheckout(' . ($this->four ? 4 : 3) . ')</script>');
    }

    // ------------------------------------------------------------------------------------------- what scripts ask

    private function add()
    {
        $id = (int) $this->post('product_id');
        $option = isset($_POST['option'][1]) ? (int) $_POST['option'][1] : 0;
        if ($this->rows("SELECT 1 FROM `%product_option_value` WHERE product_id = $id") && !$option) { return $this->json(array('error' => array('option_1' => 'Size required!'))); }
        $this->session['cart']["$id:$option"] = array('product_id' => $id, 'option' => $option, 'quantity' => max(1, (int) $this->post('quantity')));
        $this->json(array('success' => 'Success: You have added it to your shopping cart!'));
    }

    private function zones() { $this->json(array('zone' => $this->rows('SELECT zone_id, name FROM `%zone` WHERE country_id = ' . (int) $this->get('country_id') . ' ORDER BY zone_id'))); }

    private function register()
    {
        $prefix = $this->four ? 'shipping_' : '';
        foreach (array('firstname', 'lastname', 'email', "{$prefix}address_1", "{$prefix}city", "{$prefix}country_id", "{$prefix}zone_id") as $name) {
            if (trim($this->post($name)) === '') { return $this->json(array('error' => array($name => "$name must be filled in"))); }
            $this->session['guest'][$prefix === '' ? $name : preg_replace('/^shipping_/', '', $name)] = $this->post($name);
        }
        $this->json(array('success' => 'Success'));
    }

    private function shipping() { $this->json(array('methods' => array(array('code' => 'flat.flat', 'name' => 'Flat Shipping Rate - $5.00')))); }

    private function payment()
    {
        $methods = array();
        foreach (array('cod' => 'Cash On Delivery', 'card' => 'Credit Card') as $code => $name) {
            if (!empty($this->settings["payment_{$code}_status"])) { $methods[] = array('code' => $this->four ? "$code.$code" : $code, 'name' => $name); }
        }
        $this->json(array('methods' => $methods));
    }

    private function confirm() { echo $this->table(true, 'confirm') . '<button type="button" id="button-confirm">Confirm Order</button>'; }

    private function order()
    {
        if (!$this->lines() || empty($this->session['guest'])) { http_response_code(400); return $this->json(array('error' => 'no order')); }
        $guest = array_map(array($this->db, 'escape'), $this->session['guest']);
        $totals = $this->totals(true);
        $total = end($totals)[2];
        $this->db->query('INSERT INTO `' . DB_PREFIX . "order` SET store_id = 0, firstname = '$guest[firstname]', lastname = '$guest[lastname]', email = '$guest[email]', shipping_address_1 = '$guest[address_1]', total = $total, currency_code = 'USD', currency_value = 1, order_status_id = 1, date_added = NOW()");
        $id = $this->db->getLastId();
        foreach ($totals as $line) { $this->db->query('INSERT INTO `' . DB_PREFIX . "order_total` SET order_id = $id, code = '$line[0]', title = '$line[1]', value = $line[2]"); }
        foreach ($this->lines() as $line) {
            $this->db->query('INSERT INTO `' . DB_PREFIX . "order_product` SET order_id = $id, product_id = {$line['product']['product_id']}, quantity = $line[quantity], price = $line[price]");
            $this->db->query('UPDATE `' . DB_PREFIX . "product` SET quantity = quantity - $line[quantity] WHERE product_id = {$line['product']['product_id']}");
        }
        $events = $this->four ? $this->rows("SELECT 1 FROM `%event` WHERE `action` = 'mail/order' AND status = 1") : array(1);
        foreach (empty($this->settings['config_mail_engine']) ? array() : $events as $event) { mail($this->session['guest']['email'], $this->settings['config_name'] . " - Order $id", "Thank you for your order of " . $this->money($total) . '.', 'From: ' . $this->settings['config_email']); }
        $this->session = array();
        $this->json(array('redirect' => str_replace('&amp;', '&', $this->url('checkout/success'))));
    }

    // ------------------------------------------------------------------------------------ what differs by version

    private function extensions($where)
    {
        if (!$this->four) { return ''; }
        $html = '';
        foreach ($this->rows('SELECT code FROM `%extension` WHERE type = \'module\' ORDER BY code') as $row) {
            $file = DIR_EXTENSION . "$row[code]/catalog/$where.php";
            if (is_file($file)) { $html .= (string) include $file; }
        }
        return $html;
    }

    private function sku($row) { return %SKU%; }

    private function countries() { return $this->rows('SELECT c.country_id, %COUNTRY%'); }
}
